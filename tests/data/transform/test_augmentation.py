import pickle

import numpy as np
import pytest

from transfusion_cli.data.transform.augmentation import DEFAULTS, Augmentation, build_transforms
from transfusion_cli.errors import UserError


def image(channels, dtype=np.uint8, side=40):
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, channels)[: 2 if channels == 1 else 3])
    return pixels.astype(np.uint8) if dtype == np.uint8 else (pixels / 255).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_functions_of_seed_epoch_and_row(name, channels, dtype):
    source = image(channels, dtype)
    augment = Augmentation(DEFAULTS[name], 5, channels)
    first = [augment(source, epoch, row) for epoch in (0, 1) for row in range(6)]
    again = pickle.loads(pickle.dumps(Augmentation(DEFAULTS[name], 5, channels)))
    for (epoch, row), before in reversed(list(zip(np.ndindex(2, 6), first, strict=True))):
        np.testing.assert_array_equal(again(source, epoch, row), before)
        assert before.shape == source.shape and before.dtype == dtype
    if dtype == np.float32:
        assert all(pixels.min() >= 0 and pixels.max() <= 1 for pixels in first)
    assert len({pixels.tobytes() for pixels in first}) > 9
    other = Augmentation(DEFAULTS[name], 6, channels)
    assert any((other(source, 0, row) != first[row]).any() for row in range(6))


def test_upright_keeps_sides():
    """A bright left edge stays on the left: nothing is flipped or turned by much."""
    source = np.zeros((40, 40), np.uint8)
    source[:, :8] = 200
    augment = Augmentation(DEFAULTS["upright"], 0, 1)
    for row in range(50):
        changed = augment(source, 0, row)
        assert changed[:, :20].mean() > changed[:, 20:].mean() + 20


def test_forms_of_an_item():
    names = [
        type(transform).__name__
        for transform in build_transforms(
            [
                "HorizontalFlip",
                {"VerticalFlip": {"p": 1.0}},
                {"VerticalFlip": None},
                {"class_path": "albumentations.GaussianBlur", "init_args": {"p": 0.1}},
                {"OneOf": {"transforms": ["Transpose", {"Affine": {"rotate": [-5, 5]}}], "p": 0.5}},
            ]
        )
    ]
    assert names == ["HorizontalFlip", "VerticalFlip", "VerticalFlip", "GaussianBlur", "OneOf"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (["HorizontalFlipp"], r"no albumentations transform 'HorizontalFlipp'\nDid you mean HorizontalFlip\?"),
        ([{"Affine": {"rotat": 3}}], r"Affine has no argument 'rotat'\nDid you mean rotate\?"),
        ([{"HorizontalFlip": {"p": 3}}], r"HorizontalFlip: p: Input should be less than or equal to 1"),
        ([{"OneOf": {"transforms": ["Flop"]}}], r"no albumentations transform 'Flop'"),
        ([{"HorizontalFlip": {}, "VerticalFlip": {}}], r"is not a transform\nEach item is a name"),
        ([3], r"3 is not a transform"),
        (["no_such_package.Flip"], r"cannot import 'no_such_package.Flip'"),
        ("HorizontalFlip", r"expected a list of transforms"),
    ],
)
def test_mistakes(spec, message):
    with pytest.raises(UserError, match=message) as caught:
        build_transforms(spec)
    assert len(str(caught.value).splitlines()) <= 3


def test_transform_for_colour_is_refused_for_grey_at_once():
    spec = [{"RandomFog": {"p": 0.01}}]
    Augmentation(spec, 0, 3)
    with pytest.raises(UserError, match="RandomFog does not work on grey 8-bit images"):
        Augmentation(spec, 0, 1)


def test_size_must_stay():
    augment = Augmentation([{"RandomCrop": {"height": 10, "width": 10, "p": 1.0}}], 0, 1)
    with pytest.raises(UserError, match=r"size: \[40, 40\]"):
        augment(image(1), 0, 0)
