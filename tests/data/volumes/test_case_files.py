import nibabel
import numpy as np
import pytest

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.errors import UserError

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(5, 6, 4)).astype(np.float32)
MASK = RNG.integers(0, 3, IMAGE.shape).astype(np.uint8)
AFFINE = np.diag([-1.0, -1, 2, 1])  # whose axes reversed are z, y, x


def files(folder, images=("image.nii",), channels=1, labels=None, **options):
    names = np.array([images])
    labels = labels or {0: 0, 1: 1, 2: 2}
    return CaseFiles(folder, np.array(["case/7"]), names, np.array(["mask.nii"]), channels, labels, **options)


def save(path, array, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "image.nii", IMAGE)
    save(tmp_path / "mask.nii", MASK)
    return tmp_path


def read(cases):
    image = cases.image(0)
    return (image, *cases.mask(0, image))


def test_image_and_mask(folder):
    image, mask, moved = read(files(folder))
    assert np.array_equal(image.array[0], IMAGE.T) and np.array_equal(mask, MASK.T) and not moved


@pytest.mark.parametrize("flipped", [(0,), (1, 2), (0, 1, 2)])
def test_files_of_other_orientations_at_the_same_place(folder, flipped):
    matrix = AFFINE.copy()
    for axis in flipped:
        matrix[:3, 3] += matrix[:3, axis] * (IMAGE.shape[axis] - 1)
        matrix[:3, axis] *= -1
    save(folder / "mask.nii", np.flip(MASK, flipped).transpose(2, 0, 1), matrix[:, [2, 0, 1, 3]])
    assert np.array_equal(read(files(folder))[1], MASK.T)


def test_labels_stored_with_a_scale_are_rounded(folder):
    save(folder / "mask.nii", MASK * np.float32(0.99999997))
    assert np.array_equal(read(files(folder))[1], MASK.T)
    scaled = nibabel.Nifti1Image(MASK.astype(np.float64), AFFINE)
    scaled.set_data_dtype(np.int32)  # a scale of 2 / 2^31 or so
    nibabel.save(scaled, folder / "mask.nii")
    assert nibabel.load(folder / "mask.nii").dataobj.slope != 1
    assert np.array_equal(read(files(folder))[1], MASK.T)


@pytest.mark.parametrize(
    ("mask", "said"),
    [(MASK * 127, "holds (127|254)"), (MASK * np.float32(1.4), "holds (1.4|2.8)"), (-MASK.astype(np.int16), "holds -")],
)
def test_what_is_no_label(folder, mask, said):
    save(folder / "mask.nii", mask)
    with pytest.raises(UserError, match=said) as error:
        read(files(folder))
    assert str(folder / "mask.nii") in str(error.value) and "0, 1, 2" in str(error.value)


def test_labels_stand_for_classes_there_and_back(folder):
    save(folder / "mask.nii", np.array([0, 4, 9], np.int16)[MASK])
    cases = files(folder, labels={0: 0, 4: 1, 9: IGNORE})
    _, mask, _ = read(cases)
    assert np.array_equal(mask, np.array([0, 1, IGNORE])[MASK.T])
    path = cases.write(0, (mask == 1).astype(np.uint8), folder / "out")
    assert path.name == "case_7.nii"
    assert np.array_equal(np.asarray(nibabel.load(path).dataobj), np.where(MASK == 1, 4, 0))


def test_a_mask_elsewhere(folder):
    for affine, said in ((np.diag([-1.0, -1, 5, 1]), "spacing 5 x 1 x 1 mm"), (np.diag([1.0, -1, 2, 1]), "mm apart")):
        save(folder / "mask.nii", MASK, affine)
        with pytest.raises(UserError, match=said) as error:
            read(files(folder))
        assert "mask.nii" in str(error.value) and "--data.geometry image" in str(error.value)
        _, mask, moved = read(files(folder, geometry="image"))
        assert moved and np.array_equal(mask, MASK.T)


@pytest.mark.parametrize("geometry", ["agree", "image"])
def test_a_mask_of_another_size(folder, geometry):
    save(folder / "mask.nii", MASK[1:])
    with pytest.raises(UserError, match="4 x 6 x 4 voxels and 4 x 6 x 5") as error:
        read(files(folder, geometry=geometry))
    assert "--data.geometry" not in str(error.value)


def test_channels_in_files_of_their_own(folder):
    save(folder / "second.nii", IMAGE[::-1] + 1, AFFINE @ [[-1, 0, 0, 4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    image = files(folder, ("image.nii", "second.nii"), channels=2).image(0)
    assert np.allclose(image.array, [IMAGE.T, IMAGE.T + 1])
    with pytest.raises(UserError, match="have 2 channel"):
        files(folder, ("image.nii", "second.nii")).image(0)
    save(folder / "second.nii", IMAGE, np.diag([-1.0, -1, 3, 1]))
    with pytest.raises(UserError, match="channels of a case do not lie at the same place"):
        files(folder, ("image.nii", "second.nii"), channels=2).image(0)


def test_a_case_without_mask(folder):
    cases = CaseFiles(folder, np.array(["a"]), np.array([["image.nii"]]), np.array([""]), 1, {0: 0})
    assert read(cases)[1] is None and cases.paths(0) == [folder / "image.nii"]
