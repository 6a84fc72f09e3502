import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from support.mask_layouts.drive import build
from support.retina import draw_field, draw_vessels

from transfusion_cli.datasets import DRIVEDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("drive"))


@pytest.fixture
def copy(root, tmp_path):
    shutil.copytree(root / "DRIVE", tmp_path / "DRIVE")
    return tmp_path / "DRIVE"


def module(root, **kwargs):
    return DRIVEDataModule(root=str(root), num_workers=0, patch_size=32, batch_size=4, **kwargs)


def test_the_published_split_by_number(root):
    table = module(root).samples
    numbers = {split: sorted(int(path.split("/")[-1][:2]) for path in table.ids[table.rows(split)])
               for split in ("train", "val", "test")}  # fmt: skip
    assert numbers["test"] == list(range(1, 21))
    assert sorted(numbers["train"] + numbers["val"]) == list(range(21, 41)) and len(numbers["val"]) == 2
    assert table.targets.shape == (40, 0) and table.patients is None


def test_masks_belong_to_their_images_and_count_in_the_field_alone(root):
    data = module(root)
    reader = data.case_reader("test")
    for row, path in enumerate(data.samples.ids):
        number = int(path.split("/")[-1][:2])
        truth = reader.read(row).truth
        assert (truth == np.where(draw_field(), draw_vessels(number), IGNORE)).all()


def test_the_second_observer_drew_the_test_images_alone(root):
    """His palettes have the greys 3 and 253, which a threshold at 0 would make all vessel."""
    with Image.open(root / "DRIVE/test/2nd_manual/01_manual2.gif") as file:
        assert set(np.unique(np.asarray(file.convert("L")))) == {3, 253}
    first, second = module(root), module(root, observer=2)
    row = first.samples.ids.tolist().index("test/images/01_test.tif")
    truth = second.case_reader("test").read(row).truth
    expected = draw_vessels(1) | draw_vessels(101)
    assert (truth == np.where(draw_field(), expected, IGNORE)).all()
    training = first.samples.split != "test"
    assert (first.samples.masks == second.samples.masks)[training].all()
    assert (first.samples.masks != second.samples.masks)[~training].all()


def test_batches_for_training_and_whole_images_for_evaluation(root):
    data = module(root, patches_per_case=2)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert len(batches) == 18 * 2 // 4
    assert batches[0]["image"].shape == (4, 3, 32, 32) and batches[0]["image"].dtype == torch.uint8
    assert batches[0]["target"].shape == (4, 32, 32)
    assert set(torch.cat([batch["target"] for batch in batches]).unique().tolist()) <= {0, 1, IGNORE}
    cases = [case for batch in data.test_dataloader() for case in batch["cases"]]
    assert len(cases) == 20 and cases[0]["image"].shape == (3, 72, 80)
    grey = next(iter(module(root, channels=1).train_dataloader()))
    assert grey["image"].shape == (4, 1, 32, 32)


def test_the_challenge_has_no_masks_for_the_test(tmp_path, caplog):
    data = module(build(tmp_path, challenge=True), predict_split="predict")
    assert len(data.samples.rows("predict")) == 20 and not len(data.samples.rows("test"))
    assert "20 test images have no masks in this edition" in caplog.text
    data.setup("fit")
    data.setup("predict")
    with pytest.raises(UserError, match="The test split is empty"):
        data.setup("test")
    case = next(iter(data.predict_dataloader()))["cases"][0]
    assert (case["truth"] == IGNORE).all()


def test_turned_copies_under_new_numbers_are_refused(copy):
    image = Image.open(copy / "training/images/21_training.tif")
    image.convert("RGBA").rotate(90).save(copy / "training/images/41_training.tif")
    with pytest.raises(UserError, match=r"numbers that the published[^\n]*41_training.tif") as error:
        _ = module(copy).samples
    assert "21 to 40" in str(error.value)


def test_an_image_under_another_number_is_refused_however_it_was_saved(copy):
    image = Image.open(copy / "training/images/30_training.tif")
    image.convert("RGBA").save(copy / "test/images/04_test.tif", compression="tiff_lzw")
    with pytest.raises(UserError, match=r"test/images/04_test.tif") as error:
        _ = module(copy).samples
    assert "training/images/30_training.tif" in str(error.value) and "the same image" in str(error.value)


def test_what_is_missing_is_told(copy, tmp_path):
    with pytest.raises(UserError, match=r"drive\.grand-challenge\.org"):
        _ = module(tmp_path / "elsewhere").samples
    (copy / "training/1st_manual/21_manual1.gif").unlink()
    with pytest.raises(UserError, match=r"1 case\(s\) have no mask, for example 'training/images/21_training.tif'"):
        _ = module(copy).samples
    shutil.copy(copy / "training/1st_manual/22_manual1.gif", copy / "training/1st_manual/21_manual1.gif")
    shutil.copy(copy / "test/images/01_test.tif", copy / "test/images/01_again.tif")
    with pytest.raises(UserError, match="several files have the same number"):
        _ = module(copy).samples
