import shutil

import numpy as np
import pytest
from support.mask_layouts.chasedb1 import build
from support.retina import draw_field, draw_vessels

from transfusion_cli.datasets import CHASEDB1DataModule
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("chase"))


def module(root, **kwargs):
    return CHASEDB1DataModule(root=str(root), num_workers=0, patch_size=32, **kwargs)


@pytest.mark.parametrize("split_seed", range(4))
def test_no_child_is_in_two_splits(root, split_seed):
    table = module(root, val_fraction=0.2, split_seed=split_seed).samples
    children = {split: set(table.patients[table.rows(split)].tolist()) for split in ("train", "val", "test")}
    assert children["test"] == {"11", "12", "13", "14"}
    assert len(children["val"]) == 2 and not children["val"] & children["train"]
    assert [len(table.rows(split)) for split in ("train", "val", "test")] == [16, 4, 8]


def test_both_observers(root):
    for observer in (1, 2):
        data = module(root, observer=observer)
        row = data.samples.ids.tolist().index("CHASEDB1/Image_03R.jpg")
        truth = data.case_reader("train").read(row).truth
        expected = draw_vessels(7) | draw_vessels(1003) if observer == 2 else draw_vessels(7)
        seen = truth != IGNORE
        assert (seen == draw_field()).mean() > 0.95 and (truth[seen] == expected[seen]).all()


def test_a_tree_of_folders_reads_alike(root, tmp_path):
    for path in (root / "CHASEDB1").iterdir():
        folder = tmp_path / "chase" / ("masks" if "HO" in path.name else "images")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.name.lower())
    flat, deep = module(root).samples, module(tmp_path).samples
    assert (flat.split == deep.split).all() and (flat.patients == deep.patients).all()
    assert deep.masks[0] == "masks/image_01l_1stho.png"


def test_other_files_are_told(root, tmp_path):
    shutil.copytree(root / "CHASEDB1", tmp_path / "c")
    shutil.copy(tmp_path / "c/Image_01L.jpg", tmp_path / "c/Image_15L.jpg")
    with pytest.raises(UserError, match=r"1 images are of no child, for example c/Image_15L\.jpg"):
        _ = module(tmp_path).samples
    (tmp_path / "c/Image_15L.jpg").rename(tmp_path / "c/Image_01L.png")
    with pytest.raises(UserError, match="an eye is there twice"):
        _ = module(tmp_path).samples
    (tmp_path / "c/Image_01L.png").unlink()
    (tmp_path / "c/Image_02L_1stHO.png").unlink()
    with pytest.raises(UserError, match="have no mask"):
        _ = module(tmp_path).samples
    for path in (tmp_path / "c").glob("*HO.png"):
        path.unlink()
    with pytest.raises(UserError, match=r"no Image_\*_1stHO.png"):
        _ = module(tmp_path).samples


def test_a_share_of_the_children_trains(root):
    table = module(root, train_fraction=0.5).samples
    assert len(np.unique(table.patients[table.rows("train")])) in (4, 5)
