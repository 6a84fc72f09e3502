import nibabel
import numpy as np
import pytest
import torch
from support.volume_files import DrawnVolumes, build_volumes

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.data.volumes.prepared_reader import PreparedReader
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_volumes(tmp_path_factory.mktemp("volumes"))


def module(folder, **options):
    return DrawnVolumes(root=str(folder), **{"num_workers": 0, "batch_size": 4, **options})


def test_what_a_network_gets_follows_from_the_training_cases(folder):
    data = module(folder)
    found, [rule] = data.preprocessing, data.preprocessing.intensity
    assert found.spacing == pytest.approx((2.5, 0.8, 0.8)) and data.size == found.patch_size == (10, 16, 16)
    assert rule.apply(np.float32([100, 120, 80])) == pytest.approx([0.5, 0.75, 0.25], abs=0.05)
    assert rule.low == pytest.approx(100 - 2.576 * 20, abs=6) and rule.high == pytest.approx(100 + 2.576 * 20, abs=6)


def test_the_other_splits_have_no_say(folder, tmp_path):
    build_volumes(tmp_path)
    image = nibabel.load(tmp_path / "image_d.nii.gz")
    nibabel.save(
        nibabel.Nifti1Image(np.asarray(image.dataobj) * 9, np.diag([-3.0, -3, 7, 1])), tmp_path / "image_d.nii.gz"
    )
    assert module(folder).preprocessing == module(tmp_path).preprocessing


def test_batches(folder):
    data = module(folder, spacing=[2.5, 1.6, 1.6], window=[-100, 100], patch_size=[8, 12, 12], augmentation=None)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 1, 8, 12, 12) and batch["target"].shape == (4, 8, 12, 12)
    assert batch["image"].min() >= 0 and batch["image"].max() <= 1
    [case] = next(iter(data.test_dataloader()))["cases"]
    assert case["image"].shape == (1, 10, 14, 15) and case["truth"].shape == (10, 28, 30)
    assert case["box"].tolist() == [[0, 10], [0, 28], [0, 30]]
    assert case["spacing"].tolist() == pytest.approx([2.5, 0.8, 0.8])
    data.predict_split = "predict"
    [case] = next(iter(data.predict_dataloader()))["cases"]
    assert (case["truth"] == IGNORE).all()


def test_augmented_patches_do_not_depend_on_the_workers(folder):
    options = {"window": [-100, 100], "spacing": "own", "patch_size": [8, 12, 12]}
    batches = [next(iter(module(folder, num_workers=n, **options).train_dataloader())) for n in (0, 2)]
    assert all(torch.equal(batches[0][key], batches[1][key]) for key in batches[0])
    plain = next(iter(module(folder, augmentation=None, **options).train_dataloader()))
    assert not torch.equal(plain["image"], batches[0]["image"])


def test_what_a_run_stored_holds(folder):
    stored = module(folder).preprocessing.to_dict() | {"spacing": [5.0, 1.6, 1.6]}
    data = module(folder)
    data.preprocessing = stored
    assert data.preprocessing.to_dict() == stored
    assert data.case_reader("test").shape(3) == (5, 14, 15)
    with pytest.raises(UserError, match="no preprocessing of volumes"):
        data.preprocessing = {"spacing": 1}


def test_a_cache_knows_what_its_training_cases_said(folder, tmp_path):
    cache = str(tmp_path / "cache")
    with pytest.raises(UserError, match="not prepared with these options"):
        _ = module(folder, cache=cache).preprocessing
    said, flags = module(folder, cache=cache).fill_cache(None, 0)
    assert said[0].startswith("5 cases, ") and flags == []
    data = module(folder, cache=cache)
    assert data.preprocessing == module(folder).preprocessing
    batches = [next(iter(one.train_dataloader())) for one in (data, module(folder))]
    assert all(torch.equal(batches[0][key], batches[1][key]) for key in batches[0])
    assert isinstance(data.case_reader("val"), PreparedReader)
    smaller = module(folder, cache=cache, patch_size=[8, 8, 8])  # patches of any size are read from it
    assert next(iter(smaller.train_dataloader()))["image"].shape[2:] == (8, 8, 8)
    with pytest.raises(UserError, match="not prepared with these options"):  # other training cases
        _ = module(folder, cache=cache, train_size=1).preprocessing
    stored = module(folder, cache=cache, train_size=1)
    stored.preprocessing = data.preprocessing.to_dict()
    assert stored.case_reader("train").shape(0) == (10, 28, 30)  # of the same store


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("spacing", [1.0, 2.0], "three lengths"),
        ("spacing", [1.0, 0, 2.0], "three lengths"),
        ("window", [5, -5], "a low and a high"),
        ("augmentation", ["RandFlop"], "Did you mean RandFlip"),
        ("augmentation", "upright", "a list of transforms"),
        ("patch_size", [8, 8], "2 sides"),
    ],
)
def test_mistakes(option, value, said):
    with pytest.raises(UserError, match=said):
        DrawnVolumes(**{option: value})
