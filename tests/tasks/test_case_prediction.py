"""What a network says of a case, put together from slabs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.tasks.case_prediction import CasePrediction

NESTED = [[1, 2, 4], [1, 4], [4]]
"""Whole tumour, core and enhancing core, as of BraTS."""


@pytest.mark.parametrize("target", ["mask", "regions"])
def test_slabs_make_the_whole(target):
    logits = torch.randn(3, 6, 5, 4)
    found = CasePrediction.blank(3 - (target == "mask"), (8, 7, 6), False, True)
    for rows in (slice(0, 2), slice(2, 6)):
        place = slice(rows.start + 1, rows.stop + 1), slice(1, 6), slice(2, 6)
        found.write(place, logits[:, rows], target)
    inside = found.classes[:, 1:7, 1:6, 2:6]
    expected = torch.stack([logits.argmax(0) == 1, logits.argmax(0) == 2]) if target == "mask" else logits > 0
    assert torch.equal(inside, expected) and found.classes.sum() == expected.sum()
    chances = logits.softmax(0)[1:] if target == "mask" else logits.sigmoid()
    torch.testing.assert_close(found.probabilities[:, 1:7, 1:6, 2:6].float(), chances, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("target", "outputs"), [("mask", 2), ("regions", 1)])
def test_scores_rank_as_probabilities_do(target, outputs):
    logits = torch.randn(outputs, 6, 5)
    found = CasePrediction.blank(1, (6, 5), True, False)
    found.write((slice(0, 6), slice(0, 5)), logits, target)
    chances = logits.softmax(0)[1] if target == "mask" else logits[0].sigmoid()
    torch.testing.assert_close(found.scores.sigmoid(), chances)
    assert torch.equal(found.classes[0], found.scores > 0)


@given(labels=st.lists(st.sampled_from([0, 1, 2, 4]), min_size=4, max_size=12))
def test_masks_of_nested_regions_come_back(labels):
    mask = torch.tensor(labels, dtype=torch.uint8).view(1, -1)
    found = CasePrediction(CasePrediction.classes_of(mask, NESTED, 3))
    assert torch.equal(found.labels(NESTED), mask)


@given(labels=st.lists(st.integers(0, 3), min_size=4, max_size=12))
def test_masks_of_classes_come_back(labels):
    mask = torch.tensor(labels, dtype=torch.uint8).view(2, -1) if len(labels) % 2 == 0 else torch.zeros(2, 2).byte()
    assert torch.equal(CasePrediction(CasePrediction.classes_of(mask, None, 3)).labels(None), mask)


def test_a_region_inside_which_nothing_was_said_is_the_smallest():
    lone = torch.zeros(3, 1, 1, dtype=torch.bool)
    lone[2] = True  # the enhancing core, and neither of those around it
    assert CasePrediction(lone).labels(NESTED).item() == 4
