"""What is measured of a case: counts by hand, what is ignored, goldens, and the options."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice, compute_iou
from support.masks import blobs, squares

from transfusion_cli.metrics.masks.case_scores import case_scores, column
from transfusion_cli.metrics.masks.measure import COLUMNS, measure


def named(row):
    return dict(zip(COLUMNS, row.tolist(), strict=True))


def test_golden_squares():
    predicted, truth = torch.tensor(squares())[:, None]
    known = torch.ones(64, 64, dtype=torch.bool)
    found = measure(predicted, truth, known, (1.0, 1.0), surfaces=True, tolerances=[1.0], lesions=True)
    assert found.shape == (1, len(COLUMNS)) and found.dtype == torch.float64
    row = named(found[0])
    assert [row[name] for name in ("tp", "fp", "fn", "tn", "predicted")] == [36, 28, 28, 64 * 64 - 92, 64]
    assert case_scores(found[None])["dice"].item() == 0.5625
    assert row["hd95"] == pytest.approx(2.2361, abs=1e-4) and row["nsd"] == pytest.approx(0.1946, abs=1e-4)
    assert row["diagonal"] == pytest.approx(64 * math.sqrt(2)) and row["lesions_found"] == 1


def test_what_is_not_asked_for_is_not_a_number():
    predicted, truth = torch.tensor(squares())[:, None]
    known = torch.ones(64, 64, dtype=torch.bool)
    row = named(measure(predicted, truth, known, (1.0, 1.0))[0])
    assert {name for name, value in row.items() if math.isnan(value)} == {"hd95", "nsd", *COLUMNS[9:]}
    row = named(measure(predicted, truth, known, (1.0, 1.0), surfaces=True)[0])
    assert row["hd95"] > 0 and math.isnan(row["nsd"])


def test_spacing():
    predicted, truth = torch.zeros(2, 1, 10, 20, 30, dtype=torch.bool)
    truth[0, 4:6, 5:15, 5:15] = predicted[0, 4:6, 6:16, 5:15] = True
    known = torch.ones(10, 20, 30, dtype=torch.bool)
    row = named(measure(predicted, truth, known, torch.tensor([5.0, 0.8, 0.8]), surfaces=True, tolerances=[0.8])[0])
    assert row["voxel_volume"] == pytest.approx(3.2) and row["hd95"] == pytest.approx(0.8) and row["nsd"] == 1
    assert row["diagonal"] == pytest.approx(math.hypot(50, 16, 24))


def test_empty_masks():
    predicted, truth = torch.tensor(squares())[:, None]
    nothing, known = torch.zeros_like(truth), torch.ones(64, 64, dtype=torch.bool)
    ways = {"surfaces": True, "tolerances": [1.0], "lesions": True}
    for pair in ((nothing, truth), (predicted, nothing), (nothing, nothing)):
        row = named(measure(*pair, known, (1.0, 1.0), **ways)[0])
        assert math.isnan(row["hd95"]) and math.isnan(row["nsd"]) and row["lesions_matched"] == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(14, 17), (8, 9, 10)]))
def test_what_is_ignored_counts_nowhere(seed, shape):
    rng = np.random.default_rng(seed)
    predicted, truth = (np.stack([blobs(rng, shape, 0.3, 1), blobs(rng, shape, 0.2, 1)]) for _ in range(2))
    known = blobs(rng, shape, 0.7)
    ways = {"spacing": (2.0,) * len(shape), "surfaces": True, "tolerances": [1.0, 2.0], "lesions": True}
    first = measure(*map(torch.tensor, (predicted, truth, known)), **ways)
    changed = [mask ^ (~known & (rng.random(mask.shape) < 0.5)) for mask in (predicted, truth)]
    second = measure(*map(torch.tensor, (*changed, known)), **ways)
    keep = [at for at, name in enumerate(COLUMNS) if name != "predicted"]
    assert torch.equal(first[:, keep].nan_to_num(nan=-1), second[:, keep].nan_to_num(nan=-1))
    counts = [column(first, name) for name in ("tp", "fp", "fn", "tn")]
    assert sum(counts).tolist() == [known.sum()] * 2
    expected = [(predicted & truth), (predicted & ~truth), (truth & ~predicted), (~truth & ~predicted)]
    for count, mask in zip(counts, expected, strict=True):
        assert count.tolist() == [(one & known).sum() for one in mask]


def test_dice_and_iou_are_those_of_monai():
    rng = np.random.default_rng(0)
    predicted, truth = (torch.tensor(np.stack([blobs(rng, (20, 30)) for _ in range(3)])) for _ in range(2))
    scores = case_scores(measure(predicted, truth, torch.ones(20, 30, dtype=torch.bool), (1.0, 1.0))[None])
    for name, theirs in (("dice", compute_dice), ("iou", compute_iou)):
        assert scores[name].tolist() == pytest.approx(theirs(predicted[None].float(), truth[None].float()), abs=1e-6)
