import numpy as np
import pytest

from transfusion_cli.data.layout.listed import report_missing, which_folder
from transfusion_cli.errors import UserError


def test_the_first_folder_that_has_a_name_counts(tmp_path):
    for folder, names in (("a", ["1.png", "2.png"]), ("b", ["2.png", "3.png"]), ("empty", [])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    names = np.array(["3.png", "2.png", "1.png", "4.png", "2.png"])
    folders = [tmp_path / name for name in ("a", "b", "empty")]
    np.testing.assert_array_equal(which_folder(names, folders), [1, 0, 0, -1, 0])
    np.testing.assert_array_equal(which_folder(names, folders[2:]), [-1] * 5)
    np.testing.assert_array_equal(which_folder(names, []), [-1] * 5)


def test_what_is_missing_is_counted_and_named(tmp_path, caplog):
    names = np.array(["a", "b", "c"])
    report_missing(names, np.array([False, False, False]), tmp_path / "table.csv", None)
    missing = np.array([False, True, True])
    with pytest.raises(UserError, match=r"2 of 3 images are missing, for example 'b'\nlisted in .*table.csv\n"):
        report_missing(names, missing, tmp_path / "table.csv", None)
    report_missing(names, missing, tmp_path / "table.csv", tmp_path / "out.txt")
    assert "2 of 3 images are missing" in caplog.text
