import nibabel
import numpy as np
import pytest
from support.lidc import CENTRES, CORNER, RADII, SPACING, ball, build

from transfusion_cli.datasets import LIDCSegmentationDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

CROP = (8, 24, 24)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("lidc"), patients=5)


def module(root, **kwargs):
    given = {"num_workers": 0, "batch_size": 2, "test_fraction": 0.3, "val_fraction": 0.3, "crop": CROP} | kwargs
    return LIDCSegmentationDataModule(root=str(root), **given)


def cut_out(volume, centre, outside):
    """The crop around x, y, z, with a margin where it reaches beyond."""
    padded = np.pad(volume, 24, constant_values=outside)
    first = [24 + middle - side // 2 for middle, side in zip(centre[::-1], CROP, strict=True)]
    return padded[tuple(slice(start, start + side) for start, side in zip(first, CROP, strict=True))]


def test_cases_are_nodules_in_the_voxels_of_their_scan(root):
    data = module(root)
    assert len(data.samples) == 6 * 3 and data.size == CROP
    reader = data.case_reader("train")
    nodules = [ball(*one) for one in zip(CENTRES, RADII, strict=True)]
    expected = np.where(nodules[3], IGNORE, 0) + nodules[0] + nodules[1] + nodules[2]  # two readers saw the last
    order = np.lexsort([[c[0] for c in CENTRES[:3]], [c[1] for c in CENTRES[:3]], [c[2] for c in CENTRES[:3]]])
    for row, k in enumerate(order.tolist()):
        case = reader.whole(row)
        assert case.image.shape == (1, *CROP) and case.image.dtype == np.float32
        np.testing.assert_array_equal(case.mask, cut_out(expected, CENTRES[k], 0))
        assert case.image[0][case.mask == 1].min() > 0.5 > case.image[0][case.mask == 0].max()
        np.testing.assert_allclose(case.spacing, SPACING[::-1])


@pytest.mark.parametrize(("readers", "cases"), [(1, 4), (2, 4), (3, 3), (4, 3)])
def test_readers(root, readers, cases):
    assert len(module(root, min_readers=readers).samples) == 6 * cases


def test_batches(root):
    data = module(root)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (2, 1, *CROP) and batch["target"].shape == (2, *CROP)
    assert set(np.unique(batch["target"])) <= {0, 1, IGNORE}
    [case] = next(iter(data.val_dataloader()))["cases"]
    assert case["truth"].shape == CROP
    data.samples.check_disjoint("here")


def test_masks_are_written_where_the_crop_lies(root, tmp_path):
    reader = module(root).case_reader("test")
    labels = (reader.whole(0).mask == 1).astype(np.uint8)
    written = nibabel.load(reader.write(0, labels, tmp_path))
    places = np.argwhere(np.asarray(written.dataobj) == 1) @ written.affine[:3, :3].T + written.affine[:3, 3]
    middle = places.mean(axis=0) * [-1, -1, 1]
    offsets = [np.linalg.norm(middle - (CORNER + SPACING * centre)) for centre in CENTRES]
    assert min(offsets) < 0.6
    np.testing.assert_allclose(nibabel.affines.voxel_sizes(written.affine), SPACING, rtol=1e-5)


def test_options_out_of_range(root):
    with pytest.raises(UserError, match="consensus must lie between 0 and 1"):
        module(root, consensus=0.0)
    with pytest.raises(UserError, match="crop must be one number or 3"):
        module(root, crop=(8, 8))
