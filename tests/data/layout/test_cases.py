import logging

import numpy as np
import pytest

from transfusion_cli.data.layout.cases import (
    ListedCase,
    case_table,
    files_in,
    find_copies,
    natural,
    require_unique,
    warn_of_patients,
)
from transfusion_cli.errors import UserError


def test_ten_comes_after_nine():
    names = ["liver_10", "liver_9", "liver_100", "heart_2", "10", "a"]
    assert sorted(names, key=natural) == ["10", "a", "heart_2", "liver_9", "liver_10", "liver_100"]


def test_hidden_files_and_other_endings_are_passed_over(tmp_path):
    for name in ("b_10.nii.gz", "b_9.NII.GZ", "._b_9.nii.gz", ".DS_Store", "b_9.txt"):
        (tmp_path / name).touch()
    assert files_in(tmp_path, [".nii.gz", ".nii"]) == {"b_9": "b_9.NII.GZ", "b_10": "b_10.nii.gz"}
    assert files_in(tmp_path / "absent", [".nii"]) == {}


def test_the_table_of_cases():
    cases = [
        ListedCase("a", ("a0", "a1"), "am", patient="p", domain="ED"),
        ListedCase("b", ("b0", "b1"), "", "predict", "p"),
    ]
    table = case_table(cases)
    assert table.paths.tolist() == ["a0|a1", "b0|b1"] and table.masks.tolist() == ["am", ""]
    assert table.split.tolist() == ["train", "predict"] and table.patients.tolist() == ["p", "p"]
    assert table.domains.tolist() == ["ED", ""]
    assert case_table([*cases, ListedCase("c", ("c0",))]).patients is None
    assert case_table([ListedCase("c", ("c0",))]).domains is None


def test_copies_stay_together_where_no_patients_are_known(tmp_path):
    for name, text in (("a0", "same"), ("a1", "x"), ("b0", "same"), ("b1", "y"), ("c0", "else")):
        (tmp_path / name).write_text(text)
    table = case_table([ListedCase("a", ("a0", "a1")), ListedCase("b", ("b0", "b1")), ListedCase("c", ("c0",))])
    find_copies(table, tmp_path)
    assert table.copies.tolist() == ["a", "a", "c"]
    table.patients, table.copies = np.array(["p", "q", "r"]), None
    find_copies(table, tmp_path)
    assert table.copies is None


@pytest.mark.parametrize(
    ("names", "warns"),
    [
        (["patient001_frame01", "patient001_frame12", "patient002_frame01"], True),
        (["s1-a", "s1-b", "s2-a", "s2-b"], True),
        (["liver_0", "liver_1", "liver_10"], False),
        (["liver_0", "spleen_0", "spleen_1"], False),
        (["CT2_001", "CT2_002", "CT2_003"], False),
        ([f"site{i % 2}_{i}" for i in range(100)], False),
    ],
)
def test_names_that_look_like_patients(names, warns, caplog, tmp_path):
    with caplog.at_level(logging.WARNING):
        warn_of_patients(names, tmp_path)
    assert ("--data.patient_pattern" in caplog.text) == warns


def test_names_are_unique(tmp_path):
    with pytest.raises(UserError, match="2 cases are called 'a'"):
        require_unique([ListedCase("a", ("x",)), ListedCase("b", ("y",)), ListedCase("a", ("z",))], tmp_path)
    require_unique([], tmp_path)
