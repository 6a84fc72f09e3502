"""The figure that all pictures of this program are drawn on: texts in any script, and no global state."""

import logging
import os
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

from matplotlib import figure
from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

# A font from elsewhere need not have the same weight, of which matplotlib tells at every figure.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

_REGULAR = (400, "normal", "regular", "book")


class Figure(figure.Figure):
    """A ``matplotlib`` figure whose texts may hold any letters: those that their font lacks come from others.

    Classes and folders are called as hospitals call them, in Chinese, Arabic or Cyrillic, with dollars that are no TeX.
    What no font of the system can draw is a box, without a word.
    """

    def draw(self, renderer: Any) -> None:
        """Draw, in fonts that have the letters."""
        for text in self.findobj(Text):
            families = text.get_fontfamily()
            missing = _lacking(findfont(text.get_fontproperties()), text.get_text())
            text.set_fontfamily([*families, *(name for name in _others(missing) if name not in families)])
            text.set_parse_math(False)
        with warnings.catch_warnings():
            for known in ("Glyph .* missing from font", ".* does not support .* natively"):  # the latter before 3.11
                warnings.filterwarnings("ignore", message=known, category=UserWarning)
            super().draw(renderer)


def _lacking(path: str, letters: Iterable[str]) -> frozenset[str]:
    """Letters that a font has not got; lines are broken and spaces left, not drawn."""
    return frozenset(letter for letter in letters if not letter.isspace() and ord(letter) not in _letters(path))


@cache
def _others(missing: frozenset[str]) -> tuple[str, ...]:
    """Names of fonts that have letters which another lacks, those without serifs first, until none is missing."""
    names: list[str] = []
    plain = [entry for entry in fontManager.ttflist if entry.style == "normal" and entry.weight in _REGULAR]
    for entry in sorted(plain, key=lambda entry: ("sans" not in entry.name.lower(), entry.name, entry.fname)):
        if not missing:
            break
        if has := missing - _lacking(entry.fname, missing):
            names.append(entry.name)
            missing -= has
    return tuple(names)


@cache
def _letters(path: str) -> frozenset[int]:
    """Code points that a font draws; none for those made of bitmaps, which cannot be scaled, and for placeholders."""
    if "lastresort" in os.path.basename(path).lower():
        return frozenset()
    try:
        font = FT2Font(path)
    except (RuntimeError, OSError):
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()
