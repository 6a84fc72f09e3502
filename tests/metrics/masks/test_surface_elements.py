"""How much surface there is, against the tables of DeepMind's surface-distance as MONAI has them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics.utils import (
    create_table_neighbour_code_to_contour_length,
    create_table_neighbour_code_to_surface_area,
)
from support.masks import blobs

from transfusion_cli.metrics.masks.surface_elements import surface_elements


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.9), (1.0, 1.0, 1.0), (5.0, 0.8, 0.8), (1.3, 0.7, 2.1)])
def test_sizes_of_all_neighbourhoods(spacing):
    make = create_table_neighbour_code_to_contour_length if len(spacing) == 2 else None
    table = (make or create_table_neighbour_code_to_surface_area)(spacing)[0].numpy()
    shape = (2,) * len(spacing)
    sizes = []
    for code in range(len(table)):
        # the first voxel has the highest bit there; the element between all of them is the middle one
        mask = np.array([code >> bit & 1 for bit in reversed(range(2 ** len(spacing)))], dtype=bool).reshape(shape)
        sizes.append(surface_elements(mask, spacing)[(1,) * len(spacing)])
    assert len(table) in (16, 256) and sizes == pytest.approx(table.tolist(), abs=1e-6)


@pytest.mark.parametrize("spacing", [(2.0, 0.5), (3.0, 0.5, 0.25)])
def test_a_box(spacing):
    sides = (7, 5, 6)[: len(spacing)]
    elements = surface_elements(np.ones(sides, dtype=bool), spacing)
    assert elements.shape == tuple(side + 1 for side in sides)
    inner = tuple(slice(2, -2) for _ in sides)
    assert not elements[inner].any()
    middle = tuple(side // 2 for side in sides)
    for axis in range(len(spacing)):
        at = tuple(0 if axis == other else middle[other] for other in range(len(spacing)))
        across = np.prod([step for other, step in enumerate(spacing) if other != axis])
        assert elements[at] == pytest.approx(across)


def test_a_ball_has_the_area_of_a_ball():
    """And a little more, since edges of voxels are cut in the middle whatever runs through them."""
    away = np.stack(np.meshgrid(*[np.arange(-20, 21) * step for step in (1.0, 0.5, 0.5)], indexing="ij"))
    ball = (away**2).sum(axis=0) <= 9.5**2
    assert 1 < surface_elements(ball, (1.0, 0.5, 0.5)).sum() / (4 * np.pi * 9.5**2) < 1.15


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(9, 8), (6, 7, 5)]))
def test_turning_a_mask_and_what_is_outside_of_it_turn_its_surface(seed, shape):
    rng = np.random.default_rng(seed)
    mask, spacing = blobs(rng, shape, 0.4, 0.7), tuple(rng.uniform(0.5, 3, len(shape)))
    elements = surface_elements(mask, spacing)
    order = tuple(rng.permutation(len(shape)))
    turned = surface_elements(mask.transpose(order), [spacing[axis] for axis in order])
    assert np.allclose(turned, elements.transpose(order))
    for axis in range(len(shape)):
        assert np.allclose(surface_elements(np.flip(mask, axis), spacing), np.flip(elements, axis))
    inner = tuple(slice(1, -1) for _ in shape)
    assert np.allclose(surface_elements(~mask, spacing)[inner], elements[inner])
    assert ((elements > 0) == _mixed(mask)).all()


def _mixed(mask):
    """Corners whose voxels differ."""
    padded = np.pad(mask, 1)
    parts = [
        padded[tuple(slice(at, at + side + 1) for at, side in zip(corner, mask.shape, strict=True))]
        for corner in product((0, 1), repeat=mask.ndim)
    ]
    return np.any(parts, axis=0) & ~np.all(parts, axis=0)
