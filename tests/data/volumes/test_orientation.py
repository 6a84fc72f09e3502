import itertools

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.data.volumes.orientation import Orientation
from transfusion_cli.data.volumes.volume import Volume

SIDES = st.tuples(*(st.integers(1, 4),) * 3)


@st.composite
def affines(draw):
    """Any exchange and reversal of axes, spacing, and a turn that may be oblique or sheared."""
    order, signs = draw(st.permutations(range(3))), draw(st.tuples(*(st.sampled_from((-1, 1)),) * 3))
    spacing = draw(st.tuples(*(st.floats(0.3, 6),) * 3))
    matrix = np.eye(3)[list(order)] * signs
    matrix = (matrix + np.array(draw(st.lists(st.floats(-0.2, 0.2), min_size=9, max_size=9))).reshape(3, 3)) * spacing
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, draw(st.tuples(*(st.floats(-200, 200),) * 3))
    return affine


@given(affines(), SIDES)
def test_there_and_back(affine, sides):
    array = np.arange(2 * np.prod(sides)).reshape(2, *sides)
    volume = Volume.of(array, affine)
    assert np.array_equal(volume.orientation.undo(volume.array), array)
    assert np.allclose(volume.orientation.file_affine(volume.affine, volume.shape), affine, atol=1e-9)


@given(affines(), SIDES)
def test_voxels_keep_their_places(affine, sides):
    volume = Volume.of(np.arange(np.prod(sides)).reshape(1, *sides), affine)
    for place in itertools.product(*map(range, volume.shape)):
        there = np.unravel_index(volume.array[(0, *place)], sides)
        assert np.allclose(volume.affine @ [*place, 1], affine @ [*there, 1], atol=1e-9)


@given(affines())
def test_axes_run_to_top_back_and_left(affine):
    found = Volume.of(np.zeros((1, 2, 3, 4)), affine)
    assert nibabel.aff2axcodes(found.affine) == ("S", "P", "L")
    assert sorted(found.spacing) == pytest.approx(sorted(np.linalg.norm(affine[:3, :3], axis=0)))


@pytest.mark.parametrize("affine", [np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan)])
def test_an_axis_to_nowhere(affine):
    with pytest.raises(ValueError, match="no length or no direction"):
        Orientation.of(affine)


def test_in_what_volumes_differ():
    array = np.zeros((1, 5, 6, 7))
    one = Volume.of(array, np.diag([1.0, 1, 2, 1]))
    assert "5 x 6 x 7 voxels and 7 x 6 x 5" in Volume.of(np.zeros((1, 7, 6, 5)), np.diag([1.0, 1, 2, 1])).differs_from(
        one
    )
    assert "spacing 3 x 1 x 1 mm and 2 x 1 x 1" in Volume.of(array, np.diag([1.0, 1, 3, 1])).differs_from(one)
    same_mirrored = Volume.of(np.zeros((1, 5, 6, 7))[:, ::-1], np.diag([1.0, 1, 2, 1]) @ np.array(FLIP))
    assert same_mirrored.differs_from(one) == ""
    shifted = np.diag([1.0, 1, 2, 1])
    for shift, said in ((0.4, ""), (0.6, "0.6 mm apart"), (50, "50.0 mm apart")):
        shifted[0, 3] = shift
        other = Volume.of(np.zeros((1, 5, 6, 7)), shifted)
        assert (said in other.differs_from(one)) if said else other.differs_from(one) == ""


FLIP = [[-1, 0, 0, 4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
