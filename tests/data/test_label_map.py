"""Labels of other data in the words of a run."""

import numpy as np
import pytest

from transfusion_cli.data.label_map import LabelMap
from transfusion_cli.errors import UserError

NAN = np.nan


def multilabel(given, theirs, ours):
    return LabelMap(given, ("multilabel", theirs), ("multilabel", ours), "Other")


def test_labels_by_name_by_map_and_those_that_are_left_out():
    theirs, ours = ["edema", "Effusion", "Hernia"], ["Pleural Effusion", "Edema", "Fracture"]
    labels = multilabel({"Effusion": "Pleural Effusion"}, theirs, ours)
    targets = np.array([[1, 0, 1], [0, NAN, 0], [NAN, 1, 0]], dtype=np.float32)
    expected = [[0, 1, NAN], [NAN, 0, NAN], [1, NAN, NAN]]
    np.testing.assert_array_equal(labels(targets), expected)
    assert labels.tested == ["Pleural Effusion", "Edema"]
    assert (labels.left_out, labels.unused) == (["Fracture"], ["Hernia"])


def test_one_of_several_is_enough_and_all_are_needed_for_a_no():
    labels = multilabel({"Mass": "Lesion", "Nodule": "Lesion"}, ["Mass", "Nodule"], ["Lesion"])
    targets = np.array([[1, NAN], [0, 0], [0, NAN], [0, 1]], dtype=np.float32)
    np.testing.assert_array_equal(labels(targets)[:, 0], [1, 0, NAN, 1])


def test_null_takes_a_label_of_the_same_name_out():
    labels = multilabel({"Edema": None}, ["Edema", "Mass"], ["Edema", "Mass"])
    assert labels.tested == ["Mass"] and labels.left_out == ["Edema"]


def test_classes_to_labels_and_back_to_two_classes():
    kinds = ("multiclass", ["Normal", "Pneumonia", "Other"])
    targets = np.array([0, 1, 2, -1])
    asked = LabelMap({}, kinds, ("multilabel", ["Pneumonia", "Edema"]), "Other")
    np.testing.assert_array_equal(asked(targets)[:, 0], [0, 1, 0, NAN])
    two = LabelMap({}, kinds, ("binary", ["well", "Pneumonia"]), "Other")
    np.testing.assert_array_equal(two(targets)[:, 0], [0, 1, 0, NAN])
    # Where the negative class is meant by one of theirs, what is meant by none is neither.
    named = LabelMap({"Normal": "well"}, kinds, ("binary", ["well", "Pneumonia"]), "Other")
    np.testing.assert_array_equal(named(targets)[:, 0], [0, 1, NAN, NAN])


def test_classes_to_classes():
    given = {"a": "one", "b": "two", "c": "two"}
    labels = LabelMap(given, ("multiclass", ["a", "b", "c", "d"]), ("multiclass", ["two", "one", "three"]), "Other")
    np.testing.assert_array_equal(labels(np.array([0, 1, 2, 3, -1])), [1, 0, 0, -1, -1])
    assert labels.left_out == ["three"]
    binary = LabelMap({"no": "one", "yes": "two"}, ("binary", ["no", "yes"]), ("multiclass", ["two", "one"]), "Other")
    np.testing.assert_array_equal(binary(np.array([[0], [1], [NAN]], dtype=np.float32)), [1, 0, -1])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Efusion": "Edema"}, "Other has no label 'Efusion'\nDid you mean Effusion?"),
        ({"Effusion": "Pleural"}, "the run has no label 'Pleural'"),
        ({}, "None of the run's labels (Edema) is known to Other"),
    ],
)
def test_mistakes(given, told):
    with pytest.raises(UserError) as error:
        multilabel(given, ["Effusion"], ["Edema"])
    assert told in str(error.value) and len(str(error.value).splitlines()) <= 3


def test_labels_that_go_together_make_no_classes():
    with pytest.raises(UserError, match="A label map cannot"):
        LabelMap({}, ("multilabel", ["a"]), ("multiclass", ["a", "b"]), "Other")
