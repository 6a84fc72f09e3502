"""Distances of surfaces: golden values, all pairs one by one, and MONAI where it measures the same."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.spatial.distance import cdist
from support.masks import blobs, squares

from transfusion_cli.metrics.masks.surface_distance import SurfaceDistance
from transfusion_cli.metrics.masks.surface_elements import surface_elements


def test_golden_squares():
    surface = SurfaceDistance(*squares(), (1.0, 1.0))
    assert surface.hausdorff(100) == pytest.approx(2.8284, abs=1e-4)
    assert surface.hausdorff() == pytest.approx(2.2361, abs=1e-4)
    assert surface.within(1.0) == pytest.approx(0.1946, abs=1e-4)


def test_thick_slices():
    box = np.zeros((16, 32, 32), dtype=bool)
    box[4:12, 8:24, 8:24] = True
    spacing = (5.0, 0.8, 0.8)
    aside, above = (SurfaceDistance(box, np.roll(box, 1, axis), spacing) for axis in (1, 0))
    assert aside.hausdorff() == pytest.approx(0.8) and aside.within(0.8) == 1
    assert above.hausdorff() == pytest.approx(5.0) and above.within(4.9) < 0.9 and above.within(5.0) == 1
    same = SurfaceDistance(box, box, spacing)
    assert same.hausdorff(100) == 0 and same.within(0) == 1


def test_surface_counts_by_its_size():
    """The small part of another mask that is far away is under 5 % of the surface, though 40 % of its elements."""
    truth = np.zeros((40, 60), dtype=bool)
    truth[:, 5] = True
    predicted = truth.copy()
    predicted[10, 30:56] = True
    wide, high = (SurfaceDistance(predicted, truth, spacing).hausdorff() for spacing in ((100.0, 0.1), (0.1, 100.0)))
    assert wide == 0 and high > 4000


def all_pairs(predicted, truth, spacing):
    """Distances and sizes of either surface, each element against each."""
    sizes = [surface_elements(mask, spacing) for mask in (predicted, truth)]
    places = [np.argwhere(size > 0) * spacing for size in sizes]
    between = cdist(*places)
    return [(between.min(axis=1 - way), sizes[way][sizes[way] > 0]) for way in (0, 1)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(14, 17), (9, 8, 10)]))
def test_all_pairs(seed, shape):
    rng = np.random.default_rng(seed)
    pair, spacing = [blobs(rng, shape, share, 1.0) for share in (0.15, 0.25)], tuple(rng.uniform(0.5, 3, len(shape)))
    surface, ways = SurfaceDistance(*pair, spacing), all_pairs(*pair, spacing)
    assert surface.hausdorff(100) == pytest.approx(max(distances.max() for distances, _ in ways))
    for tolerance in (0.7, 2.0):
        near = sum(sizes[distances <= tolerance].sum() for distances, sizes in ways)
        assert surface.within(tolerance) == pytest.approx(near / sum(sizes.sum() for _, sizes in ways))
    hd95 = surface.hausdorff()
    for distances, sizes in ways:
        assert sizes[distances <= hd95 + 1e-9].sum() >= (0.95 - 1e-6) * sizes.sum()
    # ... and of one of them no smaller distance holds for as much
    assert any(sizes[distances < hd95 - 1e-9].sum() < 0.95 * sizes.sum() for distances, sizes in ways) or hd95 == 0
    swapped = SurfaceDistance(*reversed(pair), spacing)
    assert swapped.hausdorff() == pytest.approx(hd95) and swapped.within(1) == pytest.approx(surface.within(1))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("shape, spacing", [((40, 44), (0.7, 1.9)), ((20, 22, 24), (5.0, 0.8, 0.8))])
def test_surface_dice_is_that_of_monai(shape, spacing):
    rng = np.random.default_rng(len(shape))
    for _ in range(4):
        truth = blobs(rng, shape, width=2)
        predicted = truth ^ blobs(rng, shape, 0.04, 2)
        given = [torch.tensor(mask)[None, None].float() for mask in (predicted, truth)]
        theirs = compute_surface_dice(*given, [1.0], include_background=True, spacing=spacing, use_subvoxels=True)
        assert SurfaceDistance(predicted, truth, spacing).within(1.0) == pytest.approx(theirs.item(), abs=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("shape", [(40, 44), (20, 22, 24)])
def test_hd95_is_close_to_that_of_monai_in_equal_spacing(shape):
    """They count voxels at the border, each of them once, not corners where surface runs, by its size."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        truth, predicted = blobs(rng, shape, width=2), blobs(rng, shape, width=2)
        given = [torch.tensor(mask)[None, None].float() for mask in (predicted, truth)]
        surface = SurfaceDistance(predicted, truth, (1.0,) * len(shape))
        for percentile in (95, 100):
            theirs = compute_hausdorff_distance(*given, include_background=True, percentile=percentile).item()
            assert surface.hausdorff(percentile) == pytest.approx(theirs, abs=len(shape) ** 0.5)
