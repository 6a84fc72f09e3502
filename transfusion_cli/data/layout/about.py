"""What the docstring of a data module says about its data, as data."""

from __future__ import annotations

import re

FIELDS = ("Source", "Licence", "Layout", "Group", "Classes", "Counts", "Cite")
"""Lines that a data set's docstring has, ``Source: https://...``; indented lines go on with the one before."""

_FIELD = re.compile(rf"^({'|'.join(FIELDS)}): (.+(?:\n[ ]+\S.*)*)", re.MULTILINE)


def about(docstring: str | None) -> dict[str, str]:
    """Field to text, of a cleaned docstring (``inspect.getdoc``)."""
    return {name: " ".join(text.split()) for name, text in _FIELD.findall(docstring or "")}
