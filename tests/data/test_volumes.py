"""Volumes go all the ways of images: loaders, cache, looking."""

import numpy as np
import pytest
import torch
from support.volumes import TinyVolumesDataModule

from transfusion_cli.data.cache.build import build_cache
from transfusion_cli.data.planes import three_planes
from transfusion_cli.errors import UserError
from transfusion_cli.inspection.contact_sheet import choose, contact_sheet, exhibits
from transfusion_cli.inspection.report import inspect
from transfusion_cli.reports.figures import image_grid
from transfusion_cli.tasks.normalised import normalised


def test_batches():
    data = TinyVolumesDataModule(balanced=True)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 1, 8, 12, 16) and batch["image"].dtype == torch.uint8
    for volume, row in zip(batch["image"], batch["index"].tolist(), strict=True):
        np.testing.assert_array_equal(volume[0], data.volumes[row])


def test_augmentation_is_that_of_volumes():
    plain, changed = (
        next(iter(TinyVolumesDataModule(**given).train_dataloader())) for given in ({}, {"augmentation": "default"})
    )
    assert torch.equal(plain["index"], changed["index"]) and not torch.equal(plain["image"], changed["image"])
    with pytest.raises(UserError, match="no MONAI transform 'HorizontalFlip'"):
        TinyVolumesDataModule(augmentation=["HorizontalFlip"])


@pytest.mark.parametrize("size", [None, 8, (4, 6, 8)])
def test_a_cache_gives_what_the_source_gives(size, tmp_path):
    data = TinyVolumesDataModule(image_size=size)
    place = build_cache(data.contents, tmp_path, data.size, progress=False)
    assert place.path.name.startswith("x".join(map(str, data.size)) + "-")
    cached = TinyVolumesDataModule(image_size=size, cache=str(tmp_path))
    for one, other in zip(data.fixed_dataloader("test"), cached.fixed_dataloader("test"), strict=True):
        assert torch.equal(one["image"], other["image"])


def test_a_smaller_size_is_taken_from_a_larger_cache_and_none_from_one_of_images(tmp_path):
    data = TinyVolumesDataModule()
    build_cache(data.contents, tmp_path, data.size, progress=False)
    smaller = TinyVolumesDataModule(cache=str(tmp_path), image_size=(4, 6, 8))
    assert next(iter(smaller.fixed_dataloader("test")))["image"].shape[2:] == (4, 6, 8)
    with pytest.raises(UserError, match=r"(?s)No decoded images of these data at 8x12x17 .* --size 8x12x17"):
        TinyVolumesDataModule(cache=str(tmp_path), image_size=(8, 12, 17)).fixed_dataloader("test")


def test_three_planes():
    volume = np.arange(2 * 4 * 6).reshape(2, 4, 6)
    picture = three_planes(volume)
    assert picture.shape == (4, 6 + 6 + 4)
    np.testing.assert_array_equal(picture[:, :6], volume[1])
    np.testing.assert_array_equal(picture[:2, 6:12], volume[:, 2])
    np.testing.assert_array_equal(picture[:2, 12:], volume[:, :, 3])
    assert not picture[2:, 6:].any()


def test_they_are_drawn():
    data = TinyVolumesDataModule(augmentation="default")
    shown = exhibits(data, choose(data, "train", 3), "train", epochs=1)
    assert [image.shape for image in shown[0].images] == [(8, 12, 16)] * 3
    figure = contact_sheet(data, shown, "train")
    drawn = [axes.images[0].get_array().shape for axes in figure.axes if axes.images]
    assert drawn == [(12, 44)] * 9
    assert any("8 x 12 x 16, grey" in text.get_text() for axes in figure.axes for text in axes.texts)
    grid = image_grid(torch.from_numpy(data.volumes[:3])[:, None], ["a", "b", "c"])
    assert [axes.images[0].get_array().shape for axes in grid.axes] == [(12, 44)] * 3


def test_they_are_checked():
    data = TinyVolumesDataModule()
    data.volumes[3] = data.volumes[20]
    data.volumes[5] = 7
    report = inspect(data, workers=0, progress=False)
    assert report.images["most_frequent_size"] == [8, 12, 16] and report.images["depth"]["max"] == 8
    assert {finding.kind for finding in report.findings} >= {"duplicates-across-splits", "empty"}
    assert report.problems().set_index("id")["problem"].to_dict()["v5"] == "empty"


@pytest.mark.parametrize("dims", [2, 3])
def test_volumes_are_normalised_channel_by_channel(dims):
    image = torch.randint(0, 255, (2, 1, *[5] * dims), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(1, 3, *[1] * dims) for values in ([0.4, 0.5, 0.6], [0.1, 0.2, 0.4]))
    out = normalised(image, mean, std)
    assert out.shape == (2, 3, *[5] * dims)
    torch.testing.assert_close(out[:, 2], (image[:, 0] / 255 - 0.6) / 0.4)
    with pytest.raises(UserError, match=r"The data are (images|volumes) and the network is one for (volumes|images)"):
        normalised(image[..., None] if dims == 2 else image[..., 0], mean, std)
