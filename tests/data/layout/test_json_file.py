import pytest

from transfusion_cli.data.layout.json_file import read_json
from transfusion_cli.errors import UserError


def test_reads_with_and_without_a_mark(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "Cannot read .*a.json as JSON"), ("[" * 100_000, "Cannot read"), ("[]", r"an object \{...\}, not list")],
)
def test_what_is_none(tmp_path, text, says):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        read_json(path)


def test_a_list_where_one_is_wanted(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[1]")
    assert read_json(path, list) == [1]
    with pytest.raises(UserError, match="No file"):
        read_json(tmp_path / "b.json")
