import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.datasets.families.borders import TrimBorders

WIDTH = st.integers(0, 9)


@given(margins=st.tuples(WIDTH, WIDTH, WIDTH, WIDTH), deep=st.booleans(), colour=st.booleans())
def test_margins_go_and_nothing_else(margins, deep, colour):
    top, bottom, left, right = margins
    inside = np.full((12, 15), 90, np.uint8)
    inside[5:7] = 255  # white inside stays
    image = np.pad(inside, ((top, bottom), (left, right)), constant_values=250)
    if colour:
        image = np.repeat(image[..., None], 3, axis=2)
    image = (image / 255).astype(np.float32) if deep else image
    trimmed = TrimBorders()(image)
    assert trimmed.shape[:2] == inside.shape and trimmed.dtype == image.dtype
    assert np.array_equal(trimmed, image[top : top + 12, left : left + 15])


@pytest.mark.parametrize("value", [0, 128, 255])
def test_plain_images_stay(value):
    image = np.full((20, 30), value, np.uint8)
    assert np.array_equal(TrimBorders()(image), image)


def test_specks_do_not_hold_a_margin():
    image = np.full((100, 100), 255, np.uint8)
    image[30:80, 20:90] = 40
    image[3, 5] = image[97, 50] = 0
    assert TrimBorders()(image).shape == (50, 70)


def test_rows_go_before_columns_are_judged():
    image = np.full((200, 50), 255, np.uint8)
    image[100, 20:30] = 0  # a fifth of one row, half a percent of the columns before the other rows are gone
    assert TrimBorders()(image).shape == (1, 10)


def test_travels_to_workers_and_says_what_it_does():
    trim = TrimBorders(white=0.8)
    assert pickle.loads(pickle.dumps(trim)) == trim
    assert repr(trim) == "TrimBorders(white=0.8, specks=0.02)"
