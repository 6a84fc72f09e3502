import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.data.volumes.geometry import coarse_axis, crop_box, resample, resample_labels, resampled_shape
from transfusion_cli.data.volumes.intensity import Intensity
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.data.volumes.volume import Volume

SIDES = st.tuples(*(st.integers(1, 7),) * 3)


def places(there, here):
    """Where the centres of voxels lie in a grid over the same box, by the definition: the outer faces meet."""
    axes = [np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1) for m, n in zip(there, here, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


@given(SIDES, SIDES)
def test_trilinear(there, here):
    array = np.random.default_rng(0).normal(size=there).astype(np.float32)
    expected = map_coordinates(array, places(there, here), order=1, mode="nearest")
    assert np.allclose(resample(array, here, None), expected, atol=1e-5)


@given(SIDES, SIDES, st.integers(0, 2))
def test_no_value_between_coarse_slices_is_made_up(there, here, axis):
    array = np.random.default_rng(0).normal(size=there).astype(np.float32)
    grid = places(there, here)
    nearest = np.floor((np.arange(here[axis]) + 0.5) * there[axis] / here[axis])
    grid[axis] = np.moveaxis(np.broadcast_to(nearest, np.moveaxis(grid[axis], axis, -1).shape), -1, axis)
    assert np.allclose(resample(array, here, axis), map_coordinates(array, grid, order=1, mode="nearest"), atol=1e-5)


@given(SIDES, SIDES)
def test_labels_are_those_of_the_voxel_in_which_a_centre_lies(there, here):
    mask = np.random.default_rng(0).integers(0, 200, there).astype(np.uint8)
    made = resample_labels(mask, here)
    for place in np.ndindex(*here):
        assert made[place] == mask[tuple(int((p + 0.5) * m / n) for p, m, n in zip(place, there, here, strict=True))]


@pytest.mark.parametrize(
    ("spacing", "target", "axis"),
    [
        ([5, 0.8, 0.8], [1, 1, 1], 0),
        ([1, 1, 1], [1, 6, 1], 1),
        ([3, 1, 1], [1, 1, 1], None),
        ([4, 4, 1], [1, 1, 1], None),  # two coarse axes
    ],
)
def test_coarse_axis(spacing, target, axis):
    assert coarse_axis(np.array(spacing, float), np.array(target, float)) == axis


@given(SIDES, st.tuples(*(st.integers(0, 3),) * 6))
def test_crop_to_what_is_not_zero(inner, margins):
    array = np.pad(np.full((2, *inner), 5), [(0, 0), margins[:2], margins[2:4], margins[4:]])
    array[0] = 0
    box = crop_box(array, "nonzero")
    assert (box[:, 0] == margins[::2]).all() and (box[:, 1] - box[:, 0] == inner).all()
    assert (crop_box(array, None)[:, 1] == array.shape[1:]).all()
    assert (crop_box(array * 0, "nonzero")[:, 1] == array.shape[1:]).all()


@given(st.integers(1, 400), st.floats(0.3, 8), st.floats(0.3, 8))
def test_sides_of_another_spacing(side, spacing, target):
    [made] = resampled_shape((side,), np.array([spacing]), np.array([target]))
    assert made >= 1 and (made == 1 or abs(made * target - side * spacing) <= target / 2 + 1e-6)


@given(SIDES, st.tuples(*(st.integers(0, 3),) * 6), st.tuples(*(st.sampled_from((0.5, 1.0, 3.0)),) * 3))
def test_what_the_network_sees_lies_in_the_box(inner, margins, spacing):
    pads = [margins[:2], margins[2:4], margins[4:]]
    mask = np.pad(np.random.default_rng(0).integers(1, 4, inner).astype(np.uint8), pads)
    volume = Volume.of(mask.T[None] * np.int16(10), np.diag([-1.0, -1, 2, 1]))
    case = Preprocessing(spacing, "nonzero", (Intensity.window(0, 40),)).apply(volume, mask)
    part = tuple(slice(*ends) for ends in case.box)
    assert np.array_equal(case.truth, mask) and mask[part].shape == inner and case.mask.shape == case.image.shape[1:]
    assert case.mask.shape == resampled_shape(inner, np.array([2.0, 1, 1]), np.array(spacing))
    assert np.array_equal(case.mask, resample_labels(mask[part], case.mask.shape)) and case.spacing.tolist() == [
        2,
        1,
        1,
    ]
    if case.mask.shape == inner:
        assert np.array_equal(case.image[0], (case.mask / 4).astype(np.float16))


def test_intensities():
    values = np.array([-2000, -100, 0, 150, 900], np.int16)
    volume = Volume.of(values[:, None, None][None], np.diag([-1.0, -1, 1, 1]))
    window = Preprocessing(None, None, (Intensity.window(-100, 200),))
    assert window.apply(volume, None).image.ravel() == pytest.approx([1, 2.5 / 3, 1 / 3, 0, 0][::-1], abs=1e-3)
    ct = Preprocessing(None, None, (Intensity(-100, 200, 50, 25),))
    assert ct.apply(volume, None).image.ravel() == pytest.approx([-6, -6, -2, 4, 6]) and ct.background == -6
    score = Preprocessing(None, None, (None,))
    seen = values[values != 0].astype(float)
    assert score.apply(volume, None).image.ravel() == pytest.approx(
        0.5 + (values - seen.mean()) / seen.std() / 4, abs=2e-3
    )
    blank = Volume.of(np.zeros((1, 2, 2, 2)), np.eye(4))
    assert (score.apply(blank, None).image == 0.5).all() and (score.apply(blank, None).truth == IGNORE).all()


def test_plain_data_there_and_back():
    for made in (
        Preprocessing(None, None, (None,)),
        Preprocessing((2.5, 1.0, 1.0), "nonzero", (Intensity(-100, 200, 50, 25), None), (16, 96, 96)),
    ):
        assert Preprocessing.from_dict(made.to_dict()) == made
