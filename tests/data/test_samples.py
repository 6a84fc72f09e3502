"""The table of samples: what draws go by, and rows taken out of it."""

import numpy as np
import pytest

from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError


def table(**columns):
    ids = as_text(f"i{k}" for k in range(6))
    return SampleTable(ids, np.array([0, 1, 2, 0, 1, -1]), np.array(["train"] * 4 + ["val", ""]), **columns)


def test_draws_are_stratified_by_the_labels_of_the_source_or_else_by_the_targets():
    plain = table()
    assert plain.strata.tolist() == [*np.eye(3, dtype=bool)[[0, 1, 2, 0, 1]].tolist(), [False] * 3]
    told = np.array([[True], [False]] * 3)
    assert table(source_labels=told).strata is told


def test_some_rows_make_a_table_of_their_own():
    full = table(patients=as_text("aabbcc"), source_labels=np.eye(6, dtype=bool))
    some = full.take(np.array([4, 0, 0]))
    assert some.ids.tolist() == ["i4", "i0", "i0"] and some.patients.tolist() == ["c", "a", "a"]
    assert some.source_labels.argmax(1).tolist() == [4, 0, 0] and some.domains is None
    some.split[:] = "test"
    assert full.rows("test").size == 0 and full.groups.tolist() == [0, 0, 1, 1, 2, 2] and len(some.groups) == 3


def test_unused_rows_are_left_out():
    assert table().used().ids.tolist() == table().ids.tolist()
    unused = np.array([True, False, False, True, False, True])
    assert table(unused=unused).used().ids.tolist() == ["i1", "i2", "i4"]


def test_training_samples_come_in_one_order_whatever_else_there_is():
    full = table(patients=as_text("abcdef"))
    order = full.training_order(seed=3).tolist()
    assert sorted(order) == ["i0", "i1", "i2", "i3"]
    full.train_on(np.array(order[:2]))
    assert set(full.ids[full.rows("train")]) == set(order[:2]) and full.split[4] == "val"
    assert table(patients=as_text("abcdef")).take(np.arange(6)[::-1]).training_order(seed=3).tolist() == order


def test_patient_in_two_splits_is_named():
    def with_split(names, split, patients=True):
        ids = np.arange(len(split)).astype(str)
        return SampleTable(ids, np.zeros(len(split)), np.array(split), as_text(names) if patients else None)

    with pytest.raises(UserError, match=r"for example 'b'\nwhich has images in test and train of the data\n"):
        with_split("abbc", ["train", "train", "test", ""]).check_disjoint("the data")
    with_split("abb", ["train", "test", ""]).check_disjoint("the data")
    with_split("aa", ["train", "test"], patients=False).check_disjoint("the data")
