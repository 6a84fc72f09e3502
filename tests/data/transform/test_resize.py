import numpy as np
import pytest

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


def test_crop_takes_the_middle():
    image = np.zeros((32, 96), np.uint8)
    image[:, 32:64] = 7
    assert (Resize((32, 32), "crop")(image) == 7).all()


def test_shrinking_averages():
    image = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    np.testing.assert_allclose(
        Resize((10, 15), "stretch")(image), image.reshape(10, 4, 15, 4).mean(axis=(1, 3)), atol=1e-6
    )
