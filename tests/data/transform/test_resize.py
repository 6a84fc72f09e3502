import numpy as np
import pytest
import torch

from transfusion_cli.data.transform.resize import Resize


@pytest.mark.parametrize("shape", [(20, 30), (30, 20, 3), (5, 90), (64, 64), (7, 7, 3)])
@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_size_type_and_range(shape, mode, dtype):
    image = np.random.default_rng(0).random(shape) * (255 if dtype == np.uint8 else 1)
    out = Resize((32, 24), mode)(image.astype(dtype))
    assert out.shape == (32, 24, *shape[2:]) and out.dtype == dtype
    assert out.max() <= image.max() + 1e-6


def test_pad_keeps_small_images_as_they_are():
    image = np.random.default_rng(0).integers(1, 255, (28, 28), dtype=np.uint8)
    out = Resize((32, 32), "pad")(image)
    np.testing.assert_array_equal(out[2:30, 2:30], image)
    assert out.sum() == image.sum()


def test_pad_shrinks_with_the_aspect_ratio():
    out = Resize((32, 32), "pad")(np.full((64, 128), 9, np.uint8))
    assert (out[8:24] == 9).all() and not out[:8].any() and not out[24:].any()


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_volumes_get_their_size(mode, dtype):
    for shape in ((9, 20, 30), (40, 12, 8), (5, 5, 5), (16, 24, 32)):
        volume = (np.random.default_rng(0).random(shape) * (255 if dtype == np.uint8 else 1)).astype(dtype)
        out = Resize((16, 24, 32), mode)(volume)
        assert out.shape == (16, 24, 32) and out.dtype == dtype and out.max() <= volume.max() + 1e-6


def test_volumes_are_averaged_when_they_shrink_and_interpolated_when_they_grow():
    volume = np.random.default_rng(0).random((12, 8, 6)).astype(np.float32)
    blocks = volume.reshape(4, 3, 4, 2, 3, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(Resize((4, 4, 3), "stretch")(volume), blocks, atol=1e-6)
    grown = torch.nn.functional.interpolate(torch.from_numpy(volume)[None, None], (20, 11, 9), mode="trilinear")[0, 0]
    np.testing.assert_allclose(Resize((20, 11, 9), "stretch")(volume), grown, atol=1e-5)


def test_a_volume_is_padded_and_cropped_in_its_middle():
    volume = np.random.default_rng(0).integers(1, 255, (4, 6, 8), dtype=np.uint8)
    out = Resize((8, 8, 8), "pad")(volume)
    np.testing.assert_array_equal(out[2:6, 1:7], volume)
    assert out.sum() == volume.sum()
    np.testing.assert_array_equal(Resize((4, 4, 4), "crop")(volume), volume[:, 1:5, 2:6])


def test_crop_takes_the_middle():
    image = np.zeros((32, 96), np.uint8)
    image[:, 32:64] = 7
    assert (Resize((32, 32), "crop")(image) == 7).all()


def test_shrinking_averages():
    image = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    np.testing.assert_allclose(
        Resize((10, 15), "stretch")(image), image.reshape(10, 4, 15, 4).mean(axis=(1, 3)), atol=1e-6
    )
