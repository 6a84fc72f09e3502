import logging
from pathlib import Path

import numpy as np
import pytest

from transfusion_cli.data.layout.image_index import ImageIndex
from transfusion_cli.data.layout.label_encoding import encode_labels
from transfusion_cli.data.samples import as_text
from transfusion_cli.errors import UserError


def encode(texts, classes=None, kind=None, separator="|", **others):
    columns = {name: as_text(values) for name, values in {"label": texts, **others}.items()}
    return encode_labels(ImageIndex(Path("table.csv"), as_text(range(len(texts))), columns), kind, classes, separator)


@pytest.mark.parametrize("word", ["None", "NA", "N/A", "null", "nan", "NULL", "n/a"])
def test_a_class_may_be_called_as_nothing(word):
    found = encode(["RBC", word, "Platelets", "", word])
    assert (found.kind, found.class_names) == ("multiclass", sorted(["RBC", "Platelets", word]))
    assert found.targets[3] == -1
    assert found.targets[1] == found.targets[4] == found.class_names.index(word)


@pytest.mark.parametrize("texts", [["nan", "2", "10"], ["inf", "2", "10"]])
def test_what_is_no_finite_number_is_ordered_by_the_alphabet(texts):
    for order in (texts, texts[::-1], [texts[1], texts[0], texts[2]]):
        assert encode(order).class_names == sorted(texts)


def test_whole_numbers_lose_their_point_only_all_together():
    assert encode(["10.0", "9.0", "2", ""]).class_names == ["2", "9", "10"]
    assert encode(["10.0", "9.5", "2"]).class_names == ["2", "9.5", "10.0"]
    assert encode(["01", "02", "03"]).class_names == ["01", "02", "03"]
    assert encode(["1.0", "0.0", "1"], classes=["0", "1"]).targets[:, 0].tolist() == [1, 0, 1]
    found = encode(["1.0", "2.0"], classes=["1.0", "2.0"])
    assert found.class_names == ["1.0", "2.0"] and found.targets[:, 0].tolist() == [0, 1]


def test_decimal_commas():
    """As pandas and spreadsheets write numbers of a column with blanks where the comma is the decimal point."""
    found = encode(["1,0", "0,0", ""])
    np.testing.assert_array_equal(found.targets[:, 0], np.array([1, 0, np.nan], np.float32))
    found = encode(["1,0", "0,0", ""], other=["0,0", "", "1,0"])
    np.testing.assert_array_equal(found.targets, np.array([[1, 0], [0, np.nan], [np.nan, 1]], np.float32))
    assert encode(["10,5", "9,5", "2"]).class_names == ["2", "9,5", "10,5"]
    found = encode(["1,0", "2,0", "1"], separator=",")  # labels, since the user says so
    assert (found.kind, found.class_names) == ("multilabel", ["0", "1", "2"])
    assert found.targets.tolist() == [[1, 1, 0], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("texts", [["healthy", "mild", "severe"], ["healthy|mild", "severe"]])
def test_a_misspelt_class_is_named_with_the_nearest(texts):
    expected = r"^No class 'helthy' in column 'label'\nof table.csv\nDid you mean healthy\? \(--data.classes\)$"
    with pytest.raises(UserError, match=expected):
        encode(texts, classes=["helthy", "mild", "severe"])
    with pytest.raises(UserError, match="Choose from: healthy, mild, severe"):
        encode(texts, classes=["0", "1"])


def test_several_columns_of_numbers_and_words():
    found = encode(["1.0", "0.0", ""], other=["yes", "no", "TRUE"])
    np.testing.assert_array_equal(found.targets, np.array([[1, 1], [0, 0], [np.nan, 1]], np.float32))


@pytest.mark.parametrize("texts", [["WBC", "wbc", "RBC", "Rbc"], ["WBC|RBC", "wbc|Rbc"]])
def test_classes_that_only_case_tells_apart_are_pointed_out(texts, caplog):
    with caplog.at_level(logging.WARNING):
        encode(texts)
    assert "'RBC' and 'Rbc', 'WBC' and 'wbc'" in caplog.text and "'label'" in caplog.text
    caplog.clear()
    encode(texts, classes=["WBC", "wbc", "RBC", "Rbc"])  # the user knows
    encode(["WBC", "RBC"])
    assert not caplog.text
