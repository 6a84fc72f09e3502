import pickle

import numpy as np
import pytest

from transfusion_cli.data.transform.augmentation import DEFAULTS
from transfusion_cli.data.transform.mask_augmentation import MaskAugmentation
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

LABEL = 3


def patch(channels=3, shape=(48, 40), dtype=np.uint8):
    """A bright blob that the mask marks, on a darker ground."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.where(np.hypot(y - 14, x - 24) < 8, LABEL, 0).astype(np.uint8)
    image = np.repeat(np.where(mask > 0, 200, 60).astype(np.uint8)[None], channels, axis=0)
    return (image if dtype == np.uint8 else (image / 255).astype(np.float32)), mask


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["vessels", "upright", "mirror"])
def test_image_and_mask_go_together_by_the_generator_alone(name, channels, dtype):
    source, mask = patch(channels, dtype=dtype)
    augment = MaskAugmentation(DEFAULTS[name], channels)
    again = pickle.loads(pickle.dumps(augment))
    seen = set()
    for seed in range(20):
        image, labels = augment(source, mask, np.random.default_rng(seed))
        other, others = again(source, mask, np.random.default_rng(seed))
        np.testing.assert_array_equal(image, other)
        np.testing.assert_array_equal(labels, others)
        assert image.shape == source.shape and image.dtype == dtype and labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {0, LABEL, IGNORE}
        # What the mask marks is what is bright, but for the blur of an edge.
        bright = image.mean(0) > (image[:, labels == LABEL].mean() + image[:, labels == 0].mean()) / 2
        known = labels != IGNORE
        assert (bright[known] == (labels[known] == LABEL)).mean() > 0.95
        seen.add(labels.tobytes())
    assert len(seen) > 5


def test_what_comes_into_view_counts_nowhere():
    source, mask = patch()
    augment = MaskAugmentation([{"Rotate": {"limit": [45, 45], "p": 1.0}}], 3)
    _, labels = augment(source, mask, np.random.default_rng(0))
    assert labels[0, 0] == IGNORE and LABEL in labels


def test_no_transform_interpolates_labels():
    source, mask = patch(1)
    elastic = {"ElasticTransform": {"alpha": 60, "sigma": 6, "mask_interpolation": 1, "p": 1.0}}
    augment = MaskAugmentation([{"OneOf": {"transforms": [elastic], "p": 1.0}}], 1)
    _, labels = augment(source, mask, np.random.default_rng(0))
    assert (labels != mask).any() and set(np.unique(labels)) <= {0, LABEL, IGNORE}


def test_a_transform_that_mixes_labels_is_refused(monkeypatch):
    import albumentations

    class Blend(albumentations.DualTransform):
        def apply(self, img, **params):
            return img

        def apply_to_mask(self, mask, **params):
            return mask // 2

    monkeypatch.setattr(albumentations, "Blend", Blend, raising=False)
    with pytest.raises(UserError, match="Blend mixes the labels"):
        MaskAugmentation(["Blend"], 3)


def test_the_size_stays():
    source, mask = patch()
    with pytest.raises(UserError, match="changed the image from"):
        MaskAugmentation([{"Resize": {"height": 20, "width": 20}}], 3)(source, mask, np.random.default_rng(0))
