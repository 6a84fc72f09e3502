"""Circle crop and local average, on drawn discs."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fundus import draw_fundus

from transfusion_cli.datasets.families.fundus_image import FundusProcess, find_disc

SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 90))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(80, 700),
    share=st.floats(0.3, 0.49),
    dx=st.floats(-1, 1),
    dy=st.floats(-1, 1),
    visible=st.sampled_from([1.0, 0.9, 0.75]),
    brightness=st.floats(0.15, 1.1),
    seed=st.integers(0, 99),
)
def test_finds_discs_that_are_whole_or_cut_off_above(width, share, dx, dy, visible, brightness, seed):
    radius = share * width
    room = (width - 1) / 2 - radius
    x = (width - 1) / 2 + dx * max(0, room - 1)
    height = round(2.4 * radius)
    y = (height - 1) / 2 + dy * 0.15 * radius
    cut = round(y - radius + (1 - visible) * 2 * radius) if visible < 1 else 0
    image = draw_fundus(seed, (height, width), radius, (y, x), brightness)[max(0, cut) :]
    disc = find_disc(image)
    tolerance = 2 + 0.03 * radius
    assert abs(disc.radius - radius) < tolerance
    assert abs(disc.x - x) < tolerance and abs(disc.y - (y - max(0, cut))) < tolerance


def test_cut_off_on_both_sides_and_larger_than_the_search_image():
    disc = find_disc(draw_fundus(0, (1600, 2400), radius=1000, centre=(800, 1190)))
    assert disc.radius == pytest.approx(1000, rel=0.01)
    assert (disc.y, disc.x) == pytest.approx((800, 1190), abs=10)


def test_the_square_has_the_disc_in_its_middle_and_as_large_whatever_was_cut_off():
    whole = draw_fundus(0, (300, 400), 100, (150, 180))
    cut = FundusProcess()(whole)
    assert cut.shape[0] == cut.shape[1] == pytest.approx(200, abs=3)
    assert cut[100, 2:198].max(axis=1).min() > 60 and cut[:5, :5].max() < 5
    beyond = FundusProcess()(whole[80:])  # 30 rows of the disc are gone
    assert beyond.shape == cut.shape
    assert beyond[:28].max() == 0  # filled up
    np.testing.assert_array_equal(beyond[40:190, 10:190], cut[40:190, 10:190])


def test_marks_at_the_rim_and_letters_do_not_count():
    image = draw_fundus(0, (300, 400), 100, (150, 200))
    plain = find_disc(image)
    image[148:152, 290:340] = 200  # a tab on the disc
    image[10:30, 10:80] = 255  # letters in a corner
    marked = find_disc(image)
    assert marked == pytest.approx(plain, abs=2)


def test_grey_and_deep_images_have_the_same_disc():
    image = draw_fundus(0, (300, 400), 100, (150, 180))
    grey = image.max(axis=2)
    assert find_disc(grey) == find_disc(image) == find_disc(grey.astype(np.float32) / 255)
    for kind in (grey, grey.astype(np.float32) / 255):
        done = FundusProcess(local_average=1 / 30)(kind)
        assert done.dtype == kind.dtype and done.shape == FundusProcess()(image).shape[:2]
        assert done.min() >= 0 and done.max() <= (255 if done.dtype == np.uint8 else 1)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((50, 60, 3), np.uint8),
        np.random.default_rng(0).integers(0, 9, (50, 60, 3), dtype=np.uint8),
        np.where(np.arange(3000).reshape(50, 60, 1) == 1234, 255, 0).astype(np.uint8).repeat(3, axis=2),
        np.pad(np.full((10, 10, 3), 200, np.uint8), ((9, 31), (25, 25), (0, 0))),
    ],
    ids=["black", "noise", "one bright pixel", "a reflex"],
)
def test_what_shows_no_disc_stays_as_it_is(image):
    assert find_disc(image) is None
    np.testing.assert_array_equal(FundusProcess()(image), image)
    assert FundusProcess(local_average=0.1)(image).shape == image.shape


def test_cropping_what_is_cropped_changes_nothing():
    inside = draw_fundus(0, (120, 120), radius=200)
    np.testing.assert_array_equal(FundusProcess()(inside), inside)
    once = FundusProcess()(draw_fundus(0, (300, 400), 100))
    np.testing.assert_array_equal(FundusProcess()(once), once)


@settings(max_examples=150, deadline=None)
@given(
    shape=SHAPES,
    colour=st.booleans(),
    deep=st.booleans(),
    density=st.floats(0, 1),
    crop=st.booleans(),
    average=st.sampled_from([None, 1e-6, 1 / 30, 3.0]),
    seed=st.integers(0, 999),
)
def test_any_image_gives_an_image_of_its_kind(shape, colour, deep, density, crop, average, seed):
    rng = np.random.default_rng(seed)
    shape = (*shape, 3) if colour else shape
    image = (rng.random(shape) * (rng.random(shape) < density)).astype(np.float32)
    image = image if deep else (255 * image).astype(np.uint8)
    before = image.copy()
    done = FundusProcess(crop, average, diameter=50)(image)
    assert done.dtype == image.dtype and done.ndim == image.ndim and done.size
    assert np.isfinite(done).all() and done.min() >= 0 and done.max() <= (1 if deep else 255)
    np.testing.assert_array_equal(image, before)


def test_local_average_evens_out_brightness_and_keeps_details():
    image = draw_fundus(0, (300, 300), 140).astype(float)
    image[..., :] *= np.linspace(0.5, 1, 300)[:, None]  # lit from below
    image[148:152, 148:152] *= 0.3  # a haemorrhage
    image = image.astype(np.uint8)
    done = FundusProcess(local_average=1 / 30)(image).astype(float)
    middle = (len(done) - 1) // 2
    above, below = done[60:90, 100:180].mean(), done[190:220, 100:180].mean()
    assert abs(above - 128) < 6 and abs(below - 128) < 6
    assert done[middle - 3 : middle + 4, middle - 3 : middle + 4].min() < 60
    assert (done[:5] == 128).all()  # outside of nine tenths of the radius


def test_local_average_is_the_formula_of_the_report():
    import cv2

    image = draw_fundus(3, (200, 200), 90)
    radius = find_disc(image).radius
    done = FundusProcess(circle_crop=False, local_average=0.05)(image)
    expected = cv2.addWeighted(image, 4, cv2.GaussianBlur(image, (0, 0), 0.05 * radius), -4, 128)
    inside = np.hypot(*np.mgrid[-99.5:100, -99.5:100]) < 0.85 * radius
    assert np.abs(done.astype(int) - expected)[inside].max() <= 3  # the blur is not rounded here


def test_large_discs_are_shrunk_before_the_local_average():
    image = draw_fundus(0, (900, 900), 400)
    assert FundusProcess(local_average=0.1, diameter=200)(image).shape == (200, 200, 3)
    assert FundusProcess(diameter=200)(image).shape[0] > 790
    assert FundusProcess(circle_crop=False, local_average=0.1, diameter=200)(image).shape[0] == pytest.approx(
        226, abs=3
    )


def test_pickles_and_says_what_it_does():
    process = FundusProcess(local_average=0.1)
    assert pickle.loads(pickle.dumps(process)) == process
    assert repr(process) == "FundusProcess(circle_crop=True, local_average=0.1, diameter=600)"
