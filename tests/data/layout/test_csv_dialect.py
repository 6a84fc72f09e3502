import codecs
import gzip

import pytest

from transfusion_cli.data.layout.tables import read_table
from transfusion_cli.errors import UserError

ROWS = {"image": ["a.png", "b.png"], "label": ["Müller, 张伟", "x"], "score": ["0,5", "1"]}


def text(sign, first=""):
    quoted = '"Müller, 张伟"' if sign == "," else "Müller, 张伟"
    half = '"0,5"' if sign == "," else "0,5"
    lines = [["image", "label", "score"], ["a.png", quoted, half], ["b.png", "x", "1"]]
    return first + "".join(sign.join(line) + "\r\n" for line in lines)


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_separators_and_byte_order_marks(tmp_path, sign, mark):
    encoding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(mark, "utf-8")
    path = written(tmp_path / "t.csv", mark + text(sign).encode(encoding))
    assert read_table(path).to_dict("list") == ROWS


@pytest.mark.parametrize("first", ["sep=;\r\n", "\ufeffsep=;\r\n", '"sep=;"\r\n'])
def test_a_first_line_that_says_the_separator(tmp_path, first):
    assert read_table(written(tmp_path / "t.csv", text(";", first).encode())).to_dict("list") == ROWS
    assert read_table(written(tmp_path / "t.csv", text("\t", "sep=\t\n").encode("utf-16"))).to_dict("list") == ROWS


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ('image,"labels; a; b"', ["image", "labels; a; b"]),
        ('image;"label, grade"', ["image", "label, grade"]),
        ("image,labels (a;b)", ["image", "labels (a;b)"]),
        ("image", ["image"]),
    ],
)
def test_other_signs_in_headers(tmp_path, header, names):
    assert list(read_table(written(tmp_path / "t.csv", f"{header}\n".encode())).columns) == names


def test_rows_of_nothing_but_separators_are_left_out(tmp_path):
    assert read_table(written(tmp_path / "t.csv", text(";").encode() + b";;\r\n ; ;\r\n")).to_dict("list") == ROWS


def test_compressed(tmp_path):
    assert read_table(written(tmp_path / "t.csv.gz", gzip.compress(text(";").encode()))).to_dict("list") == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text(";").replace("张伟", "").encode("cp1252"), 't.csv is not UTF-8 text\n.*\nSave it anew as "CSV UTF-8"'),
        (b"PK\x03\x04 and so on", 'is a workbook, not a CSV file\nSave its sheet as "CSV UTF-8"'),
        (b"\xd0\xcf\x11\xe0 and so on", "is a workbook"),
        (b"", "Cannot read the table .*\nNo columns"),
    ],
)
def test_what_is_no_such_text(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_table(written(tmp_path / "t.csv", content))
