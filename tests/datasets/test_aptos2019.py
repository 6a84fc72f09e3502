import logging
import shutil

import numpy as np
import pytest
from support.layouts.aptos2019 import COPIES, build

from transfusion_cli.datasets import APTOS2019DataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("aptos"))


def module(root, **kwargs):
    return APTOS2019DataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def test_copies_stay_together_whatever_their_grade(root, caplog):
    where = "train_images/train_images/{}.png"
    for seed in range(8):
        with caplog.at_level(logging.INFO):
            table = module(root, split_seed=seed, test_fraction=0.3).samples
        split = dict(zip(table.paths.tolist(), table.split.tolist(), strict=True))
        for copy, original in COPIES.items():
            assert split[where.format(copy)] == split[where.format(original)]
    assert "2 groups, 1 with conflicting labels" in caplog.text


def test_splits(root):
    table = module(root, test_fraction=0.2, val_fraction=0.2).samples
    assert [(table.split == part).sum() for part in ("train", "val", "test", "predict")] == pytest.approx(
        [34, 8, 10, 5], abs=3
    )
    predict = table.rows("predict")
    assert all(path.startswith("test_images/") for path in table.paths[predict])
    assert (table.targets[predict] == -1).all()
    assert "ee00000f" in table.paths[predict][-1]  # a copy of a graded image, which is no leak


def test_predicts_the_official_test_images(root):
    data = module(root, predict_split="predict")
    data.setup("predict")
    batch = next(iter(data.predict_dataloader()))
    assert batch["image"].shape == (5, 3, 32, 32)


def test_test_images_may_be_missing_and_folders_plain(root, tmp_path):
    shutil.copytree(root / "train_images/train_images", tmp_path / "train_images")
    shutil.copy(root / "train.csv", tmp_path)
    table = module(tmp_path).samples
    assert len(table) == 53 and set(table.split) == {"train", "val", "test"}
    assert "train_images/00000003.png" in table.paths


def test_cameras_of_all_sizes_give_discs_of_one_size(root):
    data = module(root)
    read = data.make_reader("train", data.size)
    sides = [read(row).shape[:2] for row in range(5)]
    assert all(height == width for height, width in sides) and len(set(sides)) > 1
    data.setup("fit")
    images = next(iter(data.val_dataloader()))["image"]
    assert (images[:, :, 16, 1:31].amax(dim=1) > 30).float().mean() > 0.97  # the disc fills each image's width


def test_published_counts_add_up(root):
    for task in ("grade", "referable"):
        published = module(root, task=task).published
        assert sum(count for name, count in published.items() if name.startswith("class:")) == 3662


def test_missing_data_say_where_to_get_them(tmp_path):
    (tmp_path / "train_images").mkdir()
    for data in (module(tmp_path / "nowhere"), module(tmp_path), APTOS2019DataModule()):
        with pytest.raises(UserError, match=r"(?s)APTOS2019.*kaggle\.com/c/aptos2019.*train\.csv and train_images"):
            data.setup("fit")


def test_grades_are_those_of_the_table(root):
    table = module(root).samples
    plain = [n for n, path in enumerate(table.paths) if "/000000" in path]
    codes = np.array([int(table.paths[n].rsplit("/", 1)[1][:8], 16) for n in plain])
    np.testing.assert_array_equal(table.targets[plain], codes % 5)
