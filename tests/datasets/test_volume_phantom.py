import pickle

import nibabel
import numpy as np
import pytest

from transfusion_cli.datasets import VolumePhantomDataModule
from transfusion_cli.datasets.volume_phantom import SHAPE
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def data():
    return VolumePhantomDataModule(patients=8, test_patients=2)


def test_a_patient_is_drawn_by_seed_and_number_alone(data):
    more = VolumePhantomDataModule(patients=9, test_patients=1, seed=7)
    mine, theirs = data.case_files(data.samples), more.case_files(more.samples)
    for row in (0, 5):
        assert np.array_equal(mine.image(row).array, theirs.image(row).array)
        assert np.array_equal(mine.mask(row, mine.image(row))[0], theirs.mask(row, theirs.image(row))[0])
    other = VolumePhantomDataModule(patients=8, anatomy_seed=1)
    assert not np.array_equal(mine.image(0).array, other.case_files(other.samples).image(0).array)


def test_cases_are_what_a_real_one_would_be(data):
    reader, spacings = data.case_reader("train"), set()
    for row in range(10):
        case = reader.whole(row)
        assert case.truth.shape == SHAPE and set(np.unique(case.truth)) <= {0, 1, 2} and (case.truth == 1).any()
        assert case.image.dtype == np.float32 and case.image.shape[1:] == case.mask.shape
        assert case.spacing[0] > case.spacing[1] * 0.9
        spacings.add(tuple(case.spacing))
        assert np.argwhere(case.truth > 0)[:, 2].mean() < SHAPE[2] / 2  # the liver lies on the patient's right
    assert len(spacings) > 5
    lesions = [(reader.whole(row).truth == 2).any() for row in range(10)]
    assert 4 <= sum(lesions) < 10


def test_brightness_does_not_tell_the_liver(data):
    files = data.case_files(data.samples)
    shares = []
    for row in range(10):
        image = files.image(row)
        mask, values = files.mask(row, image)[0], image.array[0].astype(int)
        low, high = np.percentile(values[mask == 1], (10, 90))
        alike = (values >= low) & (values <= high)
        shares.append((mask[alike] > 0).mean())
    assert np.mean(shares) < 0.75


def test_patches_and_splits(data):
    assert [len(data.samples.rows(split)) for split in ("train", "val", "test")] == [6, 2, 2]
    item = data.training_set()[0, 0]
    assert item["image"].shape == (1, 32, 32, 32) and item["target"].shape == (32, 32, 32)
    again = data.training_set()[0, 0]
    assert (item["image"] == again["image"]).all() and (item["target"] == again["target"]).all()


def test_workers_draw_what_they_need(data):
    reader = data.case_reader("train")
    assert np.array_equal(pickle.loads(pickle.dumps(reader)).whole(3).image, reader.whole(3).image)


def test_masks_are_written_where_the_volume_lies(data, tmp_path):
    reader = data.case_reader("test")
    case = reader.whole(4)
    written = nibabel.load(reader.write(4, case.truth, tmp_path))
    assert nibabel.aff2axcodes(written.affine) == ("L", "P", "S")
    assert np.allclose(written.header.get_zooms(), case.spacing[::-1])
    assert np.array_equal(np.asarray(written.dataobj).T, case.truth)


def test_options_out_of_range():
    with pytest.raises(UserError, match="patients must be at least 2"):
        VolumePhantomDataModule(patients=1)
