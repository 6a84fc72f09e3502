import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.data.layout.split_column import LEFT_OUT, log_splits, read_splits, settle_splits
from transfusion_cli.data.samples import as_text
from transfusion_cli.errors import UserError


def read(*cells):
    return read_splits(pd.Series(cells, name="split", dtype="str").replace("", np.nan), None)


def settle(given, patients=None):
    split, follows = settle_splits(as_text(given), None if patients is None else as_text(patients))
    return split.tolist(), follows.tolist()


def test_words():
    words = read("Train", "TRAINING", "dev", "Validation", "test", "", "exclude", "Excluded", "UNUSED", "none", "None")
    assert words.tolist() == ["train", "train", "val", "val", "test", ""] + 5 * [LEFT_OUT]
    with pytest.raises(UserError, match=r"Unknown value 'tset' in column 'split', row 3"):
        read("train", "tset")
    with pytest.raises(UserError, match="Unknown value 'NA'"):
        read("train", "NA")


def test_a_blank_column_is_as_none():
    assert read("", "") is None
    assert read("", "exclude").tolist() == ["", LEFT_OUT]


def test_blank_rows_follow_their_patient_or_join_the_pool():
    given = ["test", "", "val", "", "", LEFT_OUT, ""]
    split, follows = settle(given, ["p", "p", "q", "q", "r", "r", "s"])
    assert split == ["test", "test", "val", "val", "train", "", "train"]
    assert follows == [False, True, False, True, False, False, False]
    assert settle(given)[0] == ["test", "train", "val", "train", "train", "", "train"]
    assert settle(["", ""], ["p", "q"]) == (["train", "train"], [False, False])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["train", "val", "test", "", "", LEFT_OUT])), min_size=1),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_is_of_no_matter(rows, random):
    def settled(order):
        patients, given = zip(*(rows[i] for i in order), strict=True)
        return dict(zip(order, settle(given, patients)[0], strict=True))

    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    assert settled(range(len(rows))) == settled(shuffled)


def test_one_line_says_how_rows_came_to_their_splits(caplog):
    given = as_text(["train", "test", "", "", "", LEFT_OUT])
    with caplog.at_level(logging.INFO):
        log_splits(given, np.array([False, False, True, False, False, False]), {"val": 1})
    [record] = caplog.records
    assert record.getMessage() == (
        "splits: 2 images as given; 3 blank, of which 1 follow their patient and 2 join train; 1 left out; "
        "drawn from train: val 1"
    )
    caplog.clear()
    with caplog.at_level(logging.INFO):
        log_splits(as_text(["train", "val", "test"]), np.zeros(3, bool), {})
    assert not caplog.records
