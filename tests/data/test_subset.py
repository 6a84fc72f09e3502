import numpy as np
import pytest
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError


def ready(**kwargs):
    data = TinyDataModule(**kwargs)
    data.setup("fit")
    return data


def test_subsets_are_nested_and_leave_validation_alone():
    tables = [ready(train=80, train_fraction=fraction).samples for fraction in (0.1, 0.2, 1.0)]
    trains = [set(table.rows("train").tolist()) for table in tables]
    assert [len(rows) for rows in trains] == [8, 16, 80]
    assert trains[0] < trains[1] < trains[2]
    for table in tables:
        np.testing.assert_array_equal(table.rows("val"), tables[-1].rows("val"))
    patients = [set(table.patients[table.rows("train")]) for table in tables]
    assert [len(names) for names in patients] == [4, 8, 40]  # two images each
    assert len(ready(train=80, train_size=10).samples.rows("train")) == 10
    other = ready(train=80, train_fraction=0.2, seed=1).samples
    assert set(other.rows("train").tolist()) != trains[1]


def test_subset_changes_the_hash():
    assert ready().split_hash == ready().split_hash != ready(train_size=20).split_hash


def test_named_samples_are_left_out(tmp_path, caplog):
    (tmp_path / "broken.txt").write_text("s0\n  s3  \n\nno such\n")
    with caplog.at_level("INFO"):
        table = TinyDataModule(exclude=str(tmp_path / "broken.txt")).samples
    assert table.split[[0, 3]].tolist() == ["", ""] and (table.split != "").sum() == len(table) - 2
    assert "2 of 96 samples are left out (3 names in the file)" in caplog.text
    with pytest.raises(UserError, match=r"no file .*nothing.txt"):
        _ = TinyDataModule(exclude=str(tmp_path / "nothing.txt")).samples


def test_what_is_left_out_does_not_change_the_order_of_subsets(tmp_path):
    (tmp_path / "broken.txt").write_text("\n".join(f"s{row}" for row in range(0, 80, 3)))
    plain = TinyDataModule(train=80, train_size=30).samples
    other = TinyDataModule(train=80, train_size=30, exclude=str(tmp_path / "broken.txt")).samples
    kept = {row for row in plain.rows("train").tolist() if row % 3}
    assert kept < set(other.rows("train").tolist()) and len(other.rows("train")) == 30
