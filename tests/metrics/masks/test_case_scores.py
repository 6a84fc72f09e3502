"""Scores of a case: the rule for structures that are missed, absent or unknown, in each of its versions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.metrics.masks.case_scores import case_scores, lesion_scores
from transfusion_cli.metrics.masks.measure import COLUMNS

NAN = math.nan
OVERLAPS = ("dice", "iou", "nsd", "hd95")


def case(tp=0, fp=0, fn=0, tn=100, hd95=NAN, nsd=NAN, **lesions):
    """Measures (1, 1, M)."""
    values = {"tp": tp, "fp": fp, "fn": fn, "tn": tn, "predicted": tp + fp, "voxel_volume": 1, "diagonal": 50}
    values |= {"hd95": hd95, "nsd": nsd} | {f"lesions_{name}": count for name, count in lesions.items()}
    return torch.tensor([[[float(values.get(name, NAN)) for name in COLUMNS]]], dtype=torch.float64)


def scores(measures, names=OVERLAPS, **kwargs):
    found = case_scores(measures, **kwargs)
    return [found[name].item() for name in names]


def test_by_hand():
    found = {name: value.item() for name, value in case_scores(case(30, 10, 20, 40, 3.5, 0.75)).items()}
    assert found == {
        "dice": pytest.approx(2 / 3),
        "iou": 0.5,
        "hd95": 3.5,
        "nsd": 0.75,
        "sensitivity": 0.6,
        "specificity": 0.8,
        "precision": 0.75,
        "accuracy": 0.7,
        "background_accuracy": 0.5,
        "volume_error": 0.2,
    }


@pytest.mark.parametrize("empty", ["undefined", "one", "zero"])
def test_a_missed_structure_is_never_left_out(empty):
    missed = case(fn=20)
    assert scores(missed, empty=empty) == [0, 0, 0, 50]
    assert scores(missed, ("sensitivity", "precision", "volume_error"), empty=empty) == [0, 0, 1]


@pytest.mark.parametrize(
    "empty, alarm, silence",
    [
        ("undefined", [NAN] * 4, [NAN] * 4),
        ("one", [0, 0, 0, 50], [1, 1, 1, 0]),
        ("zero", [0, 0, 0, 50], [NAN] * 4),
    ],
)
def test_empty_references(empty, alarm, silence):
    assert scores(case(fp=3), empty=empty) == pytest.approx(alarm, nan_ok=True)
    assert scores(case(), empty=empty) == pytest.approx(silence, nan_ok=True)
    for measures in (case(fp=3), case()):
        assert all(map(math.isnan, scores(measures, ("sensitivity", "precision", "volume_error"), empty=empty)))
    assert scores(case(fp=3, tn=97), ("specificity", "accuracy")) == [0.97, 0.97]


@pytest.mark.parametrize("empty", ["undefined", "one", "zero"])
def test_a_case_without_known_voxels_says_nothing(empty):
    assert all(value.isnan() for value in case_scores(case(tn=0), empty).values())


@given(*[st.integers(0, 50)] * 4)
def test_identities(tp, fp, fn, tn):
    found = {name: value.item() for name, value in case_scores(case(tp, fp, fn, tn)).items()}
    if tp + fn:
        assert found["dice"] == pytest.approx(2 * found["iou"] / (1 + found["iou"]))
        assert 0 <= found["iou"] <= found["dice"] <= 1
        if tp:
            harmonic = 2 / (1 / found["sensitivity"] + 1 / found["precision"])
            assert found["dice"] == pytest.approx(harmonic)
    else:
        assert math.isnan(found["dice"])


def test_lesions():
    found = {
        name: v.item() for name, v in lesion_scores(case(true=4, predicted=5, found=3, right=2, matched=1)).items()
    }
    assert found == {
        "lesion_recall": 0.75,
        "lesion_precision": 0.4,
        "lesion_f1": pytest.approx(2 * 0.75 * 0.4 / 1.15),
        "lesion_recall_iou50": 0.25,
        "lesion_precision_iou50": 0.2,
        "lesion_f1_iou50": pytest.approx(2 / 9),
    }
    missed = lesion_scores(case(true=2, predicted=0, found=0, right=0, matched=0))
    assert {value.item() for value in missed.values()} == {0}
    alarm = lesion_scores(case(true=0, predicted=2, found=0, right=0, matched=0))
    assert all(value.isnan() for value in alarm.values())
