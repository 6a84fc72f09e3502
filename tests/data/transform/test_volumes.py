import pickle

import numpy as np
import pytest

from transfusion_cli.data.transform.volumes import DEFAULTS, WholeVolumeAugmentation

SIZE = (10, 12, 14)


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)


@pytest.mark.parametrize("name", DEFAULTS)
def test_randomness_is_of_seed_epoch_and_row_alone(name, volume):
    augment = WholeVolumeAugmentation(DEFAULTS[name], 1, SIZE)
    first = [augment(volume, epoch, row) for epoch in range(3) for row in range(3)]
    again = pickle.loads(pickle.dumps(WholeVolumeAugmentation(DEFAULTS[name], 1, SIZE)))
    backwards = [again(volume, epoch, row) for epoch in (2, 1, 0) for row in (2, 1, 0)][::-1]
    np.testing.assert_array_equal(first, backwards)
    assert len({image.tobytes() for image in first}) > 5
    assert all(image.shape == volume.shape and image.dtype == np.uint8 for image in first)
    deep = augment((volume / 255).astype(np.float32), 0, 0)
    np.testing.assert_allclose(deep * 255, first[0], atol=0.51)


def test_flips_are_exact_and_only_where_sides_do_not_matter(volume):
    flips = WholeVolumeAugmentation([item for item in DEFAULTS["any_side"] if "RandFlip" in item], 0, SIZE)
    mirrored = {np.flip(volume, axes).tobytes() for axes in [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]}
    seen = {flips(volume, 0, row).tobytes() for row in range(60)}
    assert seen == mirrored
    assert "RandFlip" not in str(DEFAULTS["upright"])


def test_turning_stays_within_slices():
    [affine] = [item["RandAffine"] for item in DEFAULTS["upright"] if "RandAffine" in item]
    turn = WholeVolumeAugmentation(
        [{"RandAffine": {**affine, "translate_range": None, "scale_range": None, "prob": 1}}], 0, (9, 9, 9)
    )
    volume = np.zeros((9, 9, 9), np.float32)
    volume[4] = np.random.default_rng(0).random((9, 9))
    turned = turn(volume, 0, 0)
    assert turned[4].any() and not np.array_equal(turned[4], volume[4])
    np.testing.assert_allclose(np.delete(turned, 4, axis=0), 0, atol=1e-5)
