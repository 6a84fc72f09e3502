import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.inspection.duplicates import find_duplicates


def table_of(targets, split):
    return SampleTable(as_text(f"s{i}" for i in range(len(split))), np.asarray(targets), np.array(split, dtype="<U7"))


def duplicates_of(table, digests, eligible=None):
    eligible = np.full(len(table), True) if eligible is None else np.array(eligible)
    return find_duplicates(table, np.array(digests, dtype=np.uint64), eligible)


def test_groups():
    table = table_of([0, 0, 1, 1, 0, 0], ["train", "train", "train", "val", "test", "train"])
    found = duplicates_of(table, [7, 7, 8, 8, 9, 7])
    assert found.rows.tolist() == [0, 1, 2, 3, 5] and found.groups.tolist() == [0, 0, 1, 1, 0]
    assert found.crosses.tolist() == [False, True] and found.conflicts.tolist() == [False, False]


def test_the_held_out_copy_stays():
    table = table_of([0] * 6, ["train", "val", "test", "train", "val", "train"])
    found = duplicates_of(table, [1, 1, 1, 2, 2, 3])
    assert found.surplus(table).tolist() == [0, 1, 3]


def test_all_of_a_contradiction_go():
    table = table_of([0, 1, 0], ["train", "test", "train"])
    assert duplicates_of(table, [1, 1, 2]).surplus(table).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "conflicts"),
    [
        ([[1.0, 0.0], [1.0, 0.0]], False),
        ([[1.0, 0.0], [1.0, 1.0]], True),
        ([[1.0, np.nan], [1.0, 1.0]], False),  # unknown agrees with all
        ([[np.nan, 0.0], [1.0, np.nan]], False),
        ([[0.7, 0.0], [0.8, 0.0]], False),  # soft labels on the same side
        ([-1, 2], False),
        ([3, 2], True),
    ],
)
def test_conflicts(labels, conflicts):
    targets = np.array(labels, dtype=np.float32 if isinstance(labels[0], list) else np.int64)
    assert duplicates_of(table_of(targets, ["train", "train"]), [5, 5]).conflicts.tolist() == [conflicts]


def test_what_has_no_labels_or_shows_nothing_is_not_compared():
    table = table_of([0, 0, -1, 0], ["train", "train", "predict", ""])
    assert len(duplicates_of(table, [1, 1, 1, 1], [True, False, True, True])) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.sampled_from(["train", "val", "test"]))))
def test_nothing_is_there_twice_without_the_surplus(samples):
    table = table_of([label for _, label, _ in samples] or np.zeros(0, np.int64), [split for *_, split in samples])
    digests = np.array([digest for digest, *_ in samples], dtype=np.uint64)
    out = set(duplicates_of(table, digests).surplus(table).tolist())
    for digest in range(6):
        rows = np.flatnonzero(digests == digest).tolist()
        agrees = len({samples[row][1] for row in rows}) == 1
        assert len(set(rows) - out) == (1 if agrees else 0)
