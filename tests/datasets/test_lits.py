import logging

import numpy as np
import pytest
from support.niftis import ball, save_nifti
from support.volume_layouts.lits import NUMBERS, build

from transfusion_cli.datasets import LiTSDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("lits"))


def module(root, **kwargs):
    return LiTSDataModule(root=str(root), num_workers=0, **kwargs)


def whole(data, number):
    row = data.samples.ids.tolist().index(f"volume-{number}")
    return data.case_reader("train").whole(row)


@pytest.mark.parametrize("folders", [("Training Batch 1", "Training Batch 2"), ("Training_Batch1", "Training_Batch2")])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_pairs_by_number_over_both_folders(tmp_path, folders, ending):
    table = module(build(tmp_path, folders, ending)).samples
    assert table.ids.tolist() == [*(f"volume-{number}" for number in NUMBERS), "test-volume-0"]
    assert table.paths[0] == f"{folders[0]}/volume-0{ending}"
    assert table.masks[NUMBERS.index(130)] == f"{folders[1]}/segmentation-130{ending}"
    assert table.split[-1] == "predict" and table.masks[-1] == ""


def test_masks_in_a_folder_of_their_own(tmp_path):
    root = build(tmp_path)
    (root / "segmentations").mkdir()
    for path in [*root.glob("*/segmentation-*")]:
        path.rename(root / "segmentations" / path.name)
    assert (module(root).samples.masks[:-1] != "").all()


def test_liver_and_tumour(root):
    data = module(root)
    assert data.class_names == ["liver", "tumour"] and data.target == "mask" and data.modality == ["CT"]
    assert set(np.unique(whole(data, 0).truth)) == {0, 1, 2}
    assert not whole(data, 28).truth.any()


def test_regions(root):
    data = module(root, labels={"liver": [1, 2], "tumour": [2]})
    assert data.target == "regions" and data.regions == [[1, 2], [2]] and data.class_names == ["liver", "tumour"]


def test_the_image_says_where_a_mask_lies_and_the_log_how_many(root, caplog):
    data = module(root, protocol="by_number")
    with caplog.at_level(logging.WARNING):
        case = whole(data, 9)
    assert "1 masks lie elsewhere than their images" in caplog.text
    assert case.truth.any() and (case.spacing == [3, 1.5, 1.5]).all()
    strict = module(root, protocol="by_number", geometry="agree")
    with pytest.raises(UserError, match=r"(?s)segmentation-9\.nii.*volume-9\.nii"):
        whole(strict, 9)


def test_a_flipped_volume_is_turned_with_its_mask(root):
    """Volumes run to the top, the back and the left; the file of 10 runs to the left, the front and the top."""
    data = module(root)
    assert np.array_equal(whole(data, 10).truth, ball(10)[1].T[:, ::-1])
    assert np.array_equal(whole(data, 2).truth, ball(2)[1].T[:, ::-1, ::-1])


def test_a_mask_of_another_shape_is_an_error(tmp_path):
    root = build(tmp_path)
    save_nifti(root / "Training Batch 1/segmentation-2.nii", np.zeros((20, 18, 11), np.uint8))
    with pytest.raises(UserError, match=r"(?s)segmentation-2\.nii.*volume-2\.nii"):
        whole(module(root, protocol="by_number"), 2)


def test_the_split_by_number(root):
    table = module(root, protocol="by_number").samples
    found = {part: [int(name.rsplit("-")[-1]) for name in table.ids[table.split == part]] for part in set(table.split)}
    assert found["train"] == [0, 1, 2, 9, 10, 27, 28, 99]
    assert found["val"] == [100, 107, 114]
    assert found["test"] == [115, 116, 129]
    assert found[""] == [130]


def test_drawn_splits(root):
    table = module(root, test_fraction=0.2, val_fraction=0.2).samples
    assert [(table.split == part).sum() for part in ("train", "val", "test")] == [10, 2, 3]


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), LiTSDataModule()):
        with pytest.raises(UserError, match=r"(?s)LiTS: .*codalab.*volume-N\.nii"):
            data.setup("fit")
    (tmp_path / "Training Batch 1").mkdir()
    with pytest.raises(UserError, match=r"no volume-N\.nii in"):
        _ = module(tmp_path).samples


def test_a_volume_that_is_there_twice(tmp_path):
    root = build(tmp_path)
    save_nifti(root / "Training Batch 2/volume-0.nii.gz", np.zeros((2, 2, 2), np.int16))
    with pytest.raises(UserError, match="2 cases are called 'volume-0'"):
        _ = module(root).samples
