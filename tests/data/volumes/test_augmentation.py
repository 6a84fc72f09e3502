import inspect

import numpy as np
import pytest

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.data.volumes.augmentation import VolumeAugmentation, build_transforms, default
from transfusion_cli.errors import UserError

SIZE = (12, 16, 16)


def patch(size=SIZE, channels=1):
    """An image that is 10 times its mask, in blocks, so that what moves one must move the other."""
    mask = np.zeros(size, np.uint8)
    mask[2:7, 3:9, 2:12], mask[6:11, 9:14, 4:9] = 1, 2
    return np.repeat(mask[None].astype(np.float32) * 10, channels, axis=0), mask


def augment(spec, seed=0, size=SIZE, channels=1):
    return VolumeAugmentation(spec, channels, size)(*patch(size, channels), np.random.default_rng(seed))


def test_a_flip_moves_both():
    image, mask = augment([{"RandFlip": {"prob": 1, "spatial_axis": 2}}])
    before = patch()
    assert np.array_equal(image, before[0][..., ::-1]) and np.array_equal(mask, before[1][..., ::-1])


@pytest.mark.parametrize(
    "item",
    [
        {"RandAffine": {"prob": 1, "rotate_range": [0.4, 0.2, 0.1], "mode": "nearest"}},
        {"RandAffine": {"prob": 1, "translate_range": [3, 3, 3], "mode": "nearest", "padding_mode": "border"}},
        {"RandZoom": {"prob": 1, "min_zoom": 0.6, "max_zoom": 1.5, "mode": "nearest"}},
        {"RandRotate": {"prob": 1, "range_x": 0.5, "mode": "nearest"}},
        {"RandRotate90": {"prob": 1, "spatial_axes": [1, 2]}},
        {"Rand3DElastic": {"prob": 1, "sigma_range": [2, 3], "magnitude_range": [20, 40], "mode": "nearest"}},
        {"OneOf": {"transforms": [{"RandFlip": {"prob": 1}}, {"RandAxisFlip": {"prob": 1}}]}},
    ],
    ids=lambda item: next(iter(item)),
)
@pytest.mark.parametrize("seed", [0, 1])
def test_image_and_mask_move_together(item, seed):
    image, mask = augment([item], seed, channels=2)
    known = mask != IGNORE
    assert image.dtype == np.float32 and mask.dtype == np.uint8 and image.shape == (2, *SIZE)
    assert not np.array_equal(mask, patch()[1]) and known.mean() > 0.3
    assert np.mean(image[1][known] == 10.0 * mask[known]) > 0.999 and np.array_equal(image[0], image[1])


def test_masks_are_not_interpolated_and_unknown_outside():
    for seed in range(5):
        _, mask = augment([{"RandAffine": {"prob": 1, "rotate_range": [0.5, 0.5, 0.5], "scale_range": 0.3}}], seed)
        assert set(np.unique(mask)) <= {0, 1, 2, IGNORE}
    _, mask = augment([{"RandZoom": {"prob": 1, "min_zoom": 0.5, "max_zoom": 0.5}}])
    assert (mask[0] == IGNORE).all() and (mask[:, :, -1] == IGNORE).all() and (mask[6, 8] != IGNORE).any()


@pytest.mark.parametrize("name", ["RandGaussianNoise", "RandGaussianSmooth", "RandSimulateLowResolution"])
def test_what_changes_intensities_leaves_masks(name):
    image, mask = augment([{name: {"prob": 1}}])
    assert np.array_equal(mask, patch()[1]) and not np.array_equal(image, patch()[0])


@pytest.mark.parametrize("size", [(16, 16, 16), (4, 20, 20)])
def test_the_default_is_a_function_of_the_generator(size):
    augmentation = VolumeAugmentation(default(size), 1, size)
    made = [augmentation(*patch(size), np.random.default_rng(seed)) for seed in (*range(12), *range(12))]
    for one, two in zip(made[:12], made[12:], strict=True):
        assert all(np.array_equal(first, second) for first, second in zip(one, two, strict=True))
        assert np.isfinite(one[0]).all() and set(np.unique(one[1])) <= {0, 1, 2, IGNORE}
    assert len({image.tobytes() for image, _ in made}) > 4


def test_flat_patches_are_turned_and_scaled_in_their_plane():
    size, rng = (4, 20, 20), np.random.default_rng(0)
    mask = np.repeat(np.arange(4, dtype=np.uint8)[:, None], 400, axis=1).reshape(size)
    moved = 0
    for transform in build_transforms(default(size)[:2], always=True):
        augmentation = VolumeAugmentation([], 1, size)
        augmentation.compose = transform
        for _ in range(5):
            _, made = augmentation(mask[None].astype(np.float32), mask, rng)
            assert all(set(np.unique(plane)) <= {label, IGNORE} for label, plane in enumerate(made))
            moved += (made == IGNORE).any()
    assert moved > 3


def test_nothing_is_mirrored_by_default():
    names = str(default((16, 16, 16)))
    assert "Flip" not in names and "Rotate90" not in names
    assert "sides" in inspect.getdoc(default)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (["RandFlop"], "Did you mean RandFlip?"),
        ([{"RandFlip": {"probe": 1}}], "RandFlip has no argument 'probe'\nDid you mean prob?"),
        ([{"RandFlip": {"prob": 1}, "RandZoom": {}}], "is not a transform"),
        ([{"RandFlip": {"keys": ["image"]}}], "has no argument 'keys'"),
        ([{"RandGaussianNoise": {"prob": "often"}}], "RandGaussianNoise"),
        ([{"RandSpatialCrop": {"roi_size": [4, 4, 4]}}], "changed a patch from"),
        ([{"RandFlip": {"spatial_axis": 7}}], "RandFlip does not work on patches of"),
        (["os.path.Joined"], "neither of this program"),
        (["monai.nothing.RandFlip"], "cannot import"),
        ("RandFlip", "expected a list of transforms"),
    ],
)
def test_mistakes(spec, said):
    with pytest.raises(UserError) as error:
        VolumeAugmentation(spec, 1, SIZE)
    assert said in str(error.value) and len(str(error.value).splitlines()) <= 3
