import pytest

from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.errors import UserError


@pytest.mark.parametrize(
    "named",
    [
        {"background": 0, "liver": 1, "tumour": 2},
        {"0": "background", "1": "liver", "2": "tumour"},
        {"tumour": 2, "liver": 1, "Background": "0"},
        {"liver": [1], "tumour": [2]},
    ],
)
def test_classes_in_any_form(named):
    labels = MaskLabels.of(named, "dataset.json")
    assert labels.names == ["liver", "tumour"]
    assert labels.values == {0: 0, 1: 1, 2: 2}
    assert labels.target == "mask" and labels.regions is None


def test_values_with_gaps_become_labels_without():
    labels = MaskLabels.of({"oedema": 2, "core": 1, "enhancing": 4}, "dataset.json")
    assert labels.names == ["core", "oedema", "enhancing"]
    assert labels.values == {0: 0, 1: 1, 2: 2, 4: 3}


def test_regions_overlap():
    named = {"background": 0, "whole": [1, 2, 4], "core": [1, 4], "enhancing": 4}
    labels = MaskLabels.of(named, "dataset.json")
    assert labels.target == "regions"
    assert labels.names == ["whole", "core", "enhancing"]
    assert labels.regions == [[1, 2, 3], [1, 3], [3]]
    assert labels.values == {0: 0, 1: 1, 2: 2, 4: 3}


def test_what_is_to_be_ignored_is_no_class():
    labels = MaskLabels.of({"background": 0, "liver": 1, "ignore": 2}, "dataset.json")
    assert labels.names == ["liver"]
    assert labels.values == {0: 0, 1: 1, 2: 255}


def test_values_can_join_the_background():
    labels = MaskLabels.of({"background": [0, 1], "tumour": 2}, "--data.labels")
    assert labels.names == ["tumour"]
    assert labels.values == {0: 0, 1: 0, 2: 1}


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({}, "No class in the labels"),
        ({"background": 0, "ignore": 1}, "No class in the labels"),
        ({"liver": 0}, "No class in the labels"),
        ({"liver": 1, "tumour": "two"}, "Cannot read the label 'tumour': 'two'"),
        ({"liver": -1}, "Cannot read the label 'liver'"),
        ({"liver": []}, "Cannot read the label 'liver'"),
        ({"liver": 1, "tumour": 1}, "Two classes have the same value"),
        ({str(value): f"class {value}" for value in range(1, 300)}, "299 classes are more than the 254"),
    ],
)
def test_what_is_no_labels(named, says):
    with pytest.raises(UserError, match=says) as error:
        MaskLabels.of(named, "here/dataset.json")
    assert "here/dataset.json" in str(error.value)
