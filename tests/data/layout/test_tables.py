import numpy as np
import pandas as pd
import pytest

from transfusion_cli.data.layout.tables import numbers, read_table, refuse, require_columns
from transfusion_cli.errors import UserError

WORDS = ["None", "NA", "N/A", "null", "nan", "NULL", "n/a", "NaN", "<NA>", "#N/A", "-inf", "True"]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_words_are_no_blanks(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    if suffix == "csv":
        write(path, "image,label\n" + "".join(f"{i}.png,{word}\n" for i, word in enumerate([*WORDS, "", "  "])))
    else:
        pd.DataFrame({"image": range(len(WORDS) + 2), "label": [*WORDS, None, "  "]}).to_parquet(path)
    labels = read_table(path)["label"]
    assert labels.isna().tolist() == [False] * len(WORDS) + [True, True]
    assert labels[: len(WORDS)].tolist() == WORDS


def test_numbers_stay_as_they_are_written(tmp_path):
    frame = read_table(write(tmp_path / "a.csv", "a, b ,c\n007,1e5,1.0\n 8 ,0x10,\n9007199254740993,+1,2\n"))
    assert frame.columns.tolist() == ["a", "b", "c"]
    assert frame["a"].tolist() == ["007", "8", "9007199254740993"]
    assert frame["b"].tolist() == ["1e5", "0x10", "+1"]
    np.testing.assert_array_equal(numbers(frame["c"]), [1, np.nan, 2])
    np.testing.assert_array_equal(numbers(frame["b"]), [1e5, np.nan, 1])


def test_types_of_parquet_are_written_plainly(tmp_path):
    columns = {
        "whole": [1.0, np.nan, 3.0],
        "broken": [0.5, 1.0, np.nan],
        "large": [2**60 + 1, 2, 3],
        "truth": pd.array([True, None, False], "boolean"),
        "kind": pd.Categorical(["NA", None, "x"]),
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "a.parquet")
    frame = read_table(tmp_path / "a.parquet").fillna("")
    assert frame["whole"].tolist() == ["1", "", "3"]
    assert frame["broken"].tolist() == ["0.5", "1.0", ""]
    assert frame["large"].tolist() == [str(2**60 + 1), "2", "3"]
    assert frame["truth"].tolist() == ["1", "", "0"]
    assert frame["kind"].tolist() == ["NA", "", "x"]


@pytest.mark.parametrize("sign", [";", "\t"])
def test_other_separators(tmp_path, sign):
    text = f"image{sign}label\n1.png{sign}a,b\n"
    assert read_table(write(tmp_path / "a.csv", text)).to_dict("list") == {"image": ["1.png"], "label": ["a,b"]}


def test_commas_that_the_header_lacks(tmp_path):
    frame = read_table(write(tmp_path / "a.csv", "image,label\na.png,sick,\nb.png,well,\n"))
    assert frame.to_dict("list") == {"image": ["a.png", "b.png"], "label": ["sick", "well"]}
    with pytest.raises(UserError, match=r"Cannot read the table .*a\.csv\nits rows have more cells than its header"):
        read_table(write(tmp_path / "a.csv", "image,label\na.png,sick,\nb.png,well,3\n"))


def test_two_columns_of_one_name(tmp_path):
    with pytest.raises(UserError, match="Two columns are called 'label'"):
        read_table(write(tmp_path / "a.csv", "image,label,label \na.png,x,y\n"))


@pytest.mark.parametrize(
    ("value", "cell"),
    [(np.nan, "Blank cell"), ("", "Blank cell"), ("nan", "Unknown value 'nan'"), ("1.5", "Unknown value 1.5")],
)
def test_what_is_refused_is_named(tmp_path, value, cell):
    with pytest.raises(UserError, match=rf"^{cell} in column 'x', row 3 \(1 such rows\)\nin .*\nAllowed: 1$"):
        refuse(np.array([False, True]), ["1", value], "x", tmp_path, "1")


def test_a_missing_column_names_its_flag(tmp_path):
    frame = pd.DataFrame(columns=["file", "class"])
    with pytest.raises(UserError, match=r"(?s)No column 'image'.*Choose from: class, file \(--x NAME\)$"):
        require_columns(frame, ["image"], tmp_path, "--x NAME")
