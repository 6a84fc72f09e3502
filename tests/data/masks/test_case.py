"""Cases, and parts of them that reach over their border."""

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_cases import DrawnReader

from transfusion_cli.data.masks.case import KEPT_BYTES, MOST_VOXELS, Case, cut, voxels_of
from transfusion_cli.targets import IGNORE

AXIS = st.tuples(st.integers(1, 8), st.integers(-9, 12), st.integers(1, 9))


@given(axes=st.lists(AXIS, min_size=2, max_size=3))
def test_a_part_is_what_a_padded_case_holds_there(axes):
    shape, start, size = zip(*axes, strict=True)
    array = np.arange(2 * np.prod(shape)).reshape(2, *shape) + 1
    padded = np.pad(array, [(0, 0), *[(12, 24)] * len(shape)])
    expected = padded[(slice(None), *(slice(12 + at, 12 + at + n) for at, n in zip(start, size, strict=True)))]
    assert np.array_equal(cut(array, start, size, 0), expected)


def test_a_patch_of_a_case_has_its_mask_along():
    reader = DrawnReader(3)
    case = reader.whole(1)
    image, mask = reader.patch(1, (-2, 3, 20), (8, 8, 8))
    assert image.shape == (1, 8, 8, 8) and mask.shape == (8, 8, 8)
    assert (mask[:2] == IGNORE).all() and (image[:, :2] == 0).all()
    inside = case.mask.shape[2] - 20
    assert np.array_equal(mask[2:, :, :inside], case.mask[:6, 3:11, 20:])
    assert np.array_equal(image[0, 2:, :, :inside], case.image[0, :6, 3:11, 20:])


def test_voxels_of_each_class_are_told():
    mask = np.zeros((200, 200), np.uint8)
    mask[:, :150] = 1
    mask[3, 4], mask[0, 199] = 7, IGNORE
    voxels = voxels_of(mask)
    assert sorted(voxels) == [1, 7] and voxels[7].tolist() == [[3, 4]] and len(voxels[1]) == MOST_VOXELS
    assert (mask[tuple(voxels[1].T)] == 1).all() and len(np.unique(voxels[1][:, 0])) == 200


def test_cases_are_kept_up_to_a_limit():
    class Large(DrawnReader):
        reads = 0

        def read(self, row):
            self.reads += 1
            return Case.plain(np.zeros((1, KEPT_BYTES // 3), np.uint8), np.zeros(KEPT_BYTES // 30, np.uint8))

    reader = Large(2)
    for row in (0, 1, 0, 1, 2, 2):
        reader.whole(row)
    assert reader.reads == 3 and list(reader._kept) == [1, 2]
    assert not pickle.loads(pickle.dumps(DrawnReader(2)))._kept
