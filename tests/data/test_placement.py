import numpy as np
import pytest

from transfusion_cli.data.transform.augmentation import DEFAULTS, Augmentation

AFFINE = {"scale": [0.95, 1.05], "translate_percent": [-0.05, 0.05], "rotate": [-7, 7], "p": 0.7}
WITH_PLACEMENT = [name for name, spec in DEFAULTS.items() if any("Placement" in str(item) for item in spec)]


def moved(name, image, **others):
    """What the placement of a default makes of an image in some epochs; ``others`` as the transform instead."""
    spec = [item for item in DEFAULTS[name] if "Placement" in str(item)]
    augment = Augmentation([others] if others else spec, 3, 1 if image.ndim == 2 else 3)
    return [augment(image, epoch, 0) for epoch in range(30)]


def tissue(low, dtype=np.uint8, shape=(56, 64, 3)):
    pixels = np.random.default_rng(0).integers(low, 255, shape).astype(np.uint8)
    return pixels if dtype == np.uint8 else (pixels / 255).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(56, 64), (56, 64, 3)])
@pytest.mark.parametrize("name", WITH_PLACEMENT)
def test_light_images_get_no_dark_edges(name, shape, dtype):
    image = tissue(200, dtype, shape)
    changed = moved(name, image)
    assert len({pixels.tobytes() for pixels in changed}) > 10
    assert min(pixels.min() for pixels in changed) >= image.min() - 1e-6


def field(dtype=np.uint8):
    """A round field that touches the frame, with some noise in the black around it."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 31.5
    image = np.where(np.hypot(x, y) < 32, rng.integers(120, 255, (64, 64)), rng.integers(0, 8, (64, 64)))
    return image.astype(np.uint8) if dtype == np.uint8 else (image / 255).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_lies_in_black_stays_alone_in_it(dtype):
    """As with black all around: no slivers of a second eye."""
    for changed, plain in zip(
        moved("upright", field(dtype)), moved("upright", field(dtype), Affine=AFFINE), strict=True
    ):
        np.testing.assert_array_equal(changed, plain)


@pytest.mark.parametrize("place", [0, 5, 29])
def test_each_image_decides_for_itself(place):
    """An image in black between others changes nothing for them, whatever order they come in."""
    augment = Augmentation(DEFAULTS["upright"], 3, 1)
    alone = [augment(tissue(200, shape=(64, 64)), epoch, 0) for epoch in range(30)]
    mixed = []
    for epoch in range(30):
        if epoch >= place:
            augment(field(), epoch, 1)
        mixed.append(augment(tissue(200, shape=(64, 64)), epoch, 0))
    np.testing.assert_array_equal(alone, mixed)
