import numpy as np
import pytest

from transfusion_cli.data.volumes.fingerprint import Fingerprint


def fingerprint(spacings, shapes):
    return Fingerprint(np.array(spacings, float), np.array(shapes, float), np.zeros((1, 0), np.float32), 0)


def test_the_median_of_each_axis():
    found = fingerprint([[1, 0.5, 0.5], [2, 0.7, 0.7], [3, 0.9, 0.9]], [[100, 200, 200]] * 3)
    assert found.spacing == pytest.approx((2, 0.7, 0.7))


def test_a_coarse_axis_takes_the_tenth_percentile():
    coarse = [[10, 1, 1], [5, 1, 1], [10, 1, 1], [9, 1, 1]]
    assert fingerprint(coarse, [[20, 200, 200]] * 4).spacing == pytest.approx((np.percentile([10, 5, 10, 9], 10), 1, 1))
    assert fingerprint(coarse, [[150, 200, 200]] * 4).spacing[0] == pytest.approx(9.5)  # it has many slices
    finer = [[10, 2, 2]] * 9 + [[0.5, 2, 2]] * 2
    assert fingerprint(finer, [[20, 200, 200]] * 11).spacing == pytest.approx((2, 2, 2))  # not finer than the others


@pytest.mark.parametrize(
    ("spacing", "shape", "voxels", "expected"),
    [
        ((1, 1, 1), (300, 300, 300), 64**3, (64, 64, 64)),
        ((1, 1, 1), (40, 300, 300), 64**3, (32, 96, 80)),
        ((5, 0.8, 0.8), (90, 512, 512), 128**3, (48, 208, 208)),
        ((10, 1.5, 1.5), (10, 250, 220), 64**3, (10, 160, 160)),
        ((1, 1, 1), (35, 51, 35), 64**3, (32, 48, 32)),
    ],
)
def test_patch_size(spacing, shape, voxels, expected):
    found = fingerprint([spacing], [shape]).patch_size(spacing, voxels)
    assert found == expected and np.prod(found) <= voxels and all(np.array(found) <= shape)


def test_patches_of_another_spacing():
    assert fingerprint([(2, 1, 1)], [(50, 100, 100)]).patch_size((2, 2, 2), 64**3) == (48, 48, 48)
    assert fingerprint([(2, 1, 1)], [(50, 100, 100)]).patch_size(None, 64**3) == (48, 80, 64)
