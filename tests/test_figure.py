import io
import logging
import string
import warnings

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager
from PIL import Image

import transfusion_cli.figure
from transfusion_cli.figure import Figure

SCRIPTS = ["肺炎", "はい・カナ", "폐렴", "سرطان الرئة", "סרטן", "Пневмония", "🫁🩻", "ไข้", "निमोनिया"]


@pytest.fixture(autouse=True)
def fresh():
    """What is remembered of fonts belongs to one test."""
    before = list(fontManager.ttflist)
    yield
    fontManager.ttflist = before
    transfusion_cli.figure._others.cache_clear()


def drawn(text, **style):
    figure = Figure(figsize=(8, 1), dpi=50, layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.1, 0.2, text, fontsize=20, **style)
    axes.set_title(text)
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return np.asarray(Image.open(file).convert("L")).copy()


@pytest.mark.parametrize("text", SCRIPTS)
@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_any_script_draws_without_a_word(text, weight, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        assert (drawn(text, weight=weight) < 128).any()
    assert not caplog.records


def add_font(path, letter, name):
    """A font with one letter, which looks like a thin line across the foot of its place."""
    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 40), (900, 40), (900, 0)):
        pen.lineTo(point) if point != (0, 0) else pen.moveTo(point)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "line"])
    builder.setupCharacterMap({ord(letter): "line"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "line": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "line": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    builder.save(path)
    fontManager.addfont(path)


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_a_font_of_the_system_that_has_the_letter_draws_it(tmp_path, weight, caplog):
    letter = "\U000e1234"  # which nobody's fonts have
    boxes = drawn(letter, weight=weight)
    transfusion_cli.figure._others.cache_clear()
    add_font(tmp_path / "line.ttf", letter, "One-Letter Sans")
    with caplog.at_level(logging.WARNING):
        line = drawn(letter, weight=weight)
    assert (line < 128).sum() < 0.5 * (boxes < 128).sum() and (line < 128).any()
    assert not caplog.records


def test_latin_stays_as_it_was(tmp_path):
    """No other font is even looked for."""
    before = drawn(string.ascii_letters)
    fontManager.ttflist = [entry for entry in fontManager.ttflist if entry.name == "DejaVu Sans"]
    np.testing.assert_array_equal(drawn(string.ascii_letters), before)


@pytest.mark.parametrize("text", [r"$\no such TeX$", "costs $5, not $6", "a $x$ b"])
def test_names_are_no_tex(text):
    assert (drawn(text) < 128).sum() > (drawn(text.replace("$", "")) < 128).sum()
