"""Which columns of a table hold the images and which may hold the labels, where they are not called so."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from transfusion_cli.data.layout.tables import require_columns
from transfusion_cli.data.reading.images import EXTENSIONS

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

IMAGES, LABELS = "--data.image_column", "--data.label_columns"

_IMAGE = ("image", "img", "picture", "photo", "file")
_ENDINGS = ("", "path", "file", "filename", "name", "index", "id", "idcode", "code")
_OTHER = ("path", "filename", "idcode", "id")
_RANK = {name: i for i, name in enumerate([*(word + ending for word in _IMAGE for ending in _ENDINGS), *_OTHER])}
"""Names of columns that tell images, the likeliest first: ``image``, ``Image Index``, ``filename``, ``id_code``."""

_LABEL = re.compile(r"label|class|target|diagnos|finding|disease|category|grade|level|severity|outcome|dx|group")

_CLASSES = 50
"""Different values that a column of labels has at most."""


def find_image_column(frame: pd.DataFrame, given: str | None, path: Path) -> str:
    """The column asked for, or the one whose name says that it tells the images.

    Of several that do, those count first whose values name image files, then those without a blank or a repetition.

    Args:
        frame: the table, as text.
        given: what the user says; null to look for one.
        path: the table's file, for messages.

    Raises:
        UserError: no such column.
    """
    if (given or "image") in frame.columns:
        return given or "image"
    plain = {name: re.sub(r"[\W_]", "", name.lower()) for name in frame.columns}

    def rank(name: str) -> tuple[bool, bool, int, str]:
        return not _names_files(frame[name]), not _tells_rows(frame[name]), _RANK[plain[name]], name

    known = sorted((name for name in frame.columns if plain[name] in _RANK), key=rank)
    if given is not None or not known:
        looks = known or [name for name in frame.columns if _names_files(frame[name])]
        require_columns(frame, [given or "image"], path, f"{IMAGES} NAME", looks)
        return given or "image"
    also = f" (not {', '.join(known[1:])})" if known[1:] else ""
    log.info("images: column %s%s; %s NAME takes another", known[0], also, IMAGES)
    return known[0]


def require_labels(frame: pd.DataFrame, labels: list[str], taken: Collection[str], path: Path) -> None:
    """Fail if a column of labels is missing, naming those that look like one, the likeliest first.

    Args:
        frame: the table, as text.
        labels: what the user says.
        taken: columns that are something else.
        path: the table's file, for messages.

    Raises:
        UserError: no such column.
    """
    if set(labels) <= set(frame.columns):
        return
    looks = [name for name in frame.columns if name not in taken and _parts_rows(frame[name])]
    looks.sort(key=lambda name: (_LABEL.search(name.lower()) is None, frame[name].nunique(), name))
    require_columns(frame, labels, path, f"{LABELS} NAME", looks)


def _names_files(column: pd.Series) -> bool:
    known = column.dropna()[:1000]
    return len(known) > 0 and all(os.path.splitext(text)[1].lower() in EXTENSIONS for text in known)


def _tells_rows(column: pd.Series) -> bool:
    return bool(column.is_unique and column.notna().all())


def _parts_rows(column: pd.Series) -> bool:
    return 2 <= column.nunique() <= min(_CLASSES, len(column) / 2)
