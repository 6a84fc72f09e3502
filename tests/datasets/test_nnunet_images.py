import json

import numpy as np
import pytest
from PIL import Image
from support.nnunet_images import build

from transfusion_cli.datasets import NNUNetDataModule, NNUNetImagesDataModule
from transfusion_cli.errors import UserError


@pytest.mark.parametrize(("colour", "ending"), [(True, ".png"), (False, ".tif")])
def test_images_with_masks(tmp_path, colour, ending):
    channels = 3 if colour else 1
    root = build(tmp_path, colour, ending)
    data = NNUNetImagesDataModule(root=str(root), channels=channels, num_workers=0, patch_size=16)
    assert data.dims == 2 and data.class_names == ["disc", "cup"] and data.target == "mask"
    assert [len(data.samples.rows(split)) for split in ("train", "val", "test")] == [9, 1, 1]
    case = data.case_reader("train").whole(0)
    assert case.image.shape == (channels, 24, 30) and set(np.unique(case.truth)) == {0, 1, 2}
    assert (case.image.max(axis=0)[case.truth > 0] >= 100).all()
    assert data.training_set()[0, 0]["image"].shape == (channels, 16, 16)


def test_regions(tmp_path):
    root = build(tmp_path)
    data = NNUNetImagesDataModule(root=str(root), labels={"disc": [1, 2], "cup": 2}, num_workers=0)
    assert data.target == "regions" and data.regions == [[1, 2], [2]]


def test_an_image_lies_in_one_file(tmp_path):
    root = build(tmp_path, colour=False)
    for path in [*root.glob("images*/[!.]*")]:
        Image.open(path).save(str(path).replace("_0000", "_0001"))
    told = json.loads((root / "dataset.json").read_text())
    (root / "dataset.json").write_text(json.dumps(told | {"channel_names": {"0": "a", "1": "b"}}))
    with pytest.raises(UserError, match="Case 'Tr_0' has 2 files"):
        _ = NNUNetImagesDataModule(root=str(root)).samples


def test_what_is_no_volume_says_who_reads_it(tmp_path):
    with pytest.raises(UserError, match=r"\.png are images.*\n.*\n.*--data NNUNetImagesDataModule"):
        _ = NNUNetDataModule(root=str(build(tmp_path))).samples
