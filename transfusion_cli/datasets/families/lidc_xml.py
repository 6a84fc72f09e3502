"""What up to four readers drew into a scan of LIDC-IDRI: its XML files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from transfusion_cli.errors import UserError

LARGEST = 1 << 26
"""Bytes of a file."""


@dataclass(frozen=True, eq=False)
class Outline:
    """What a reader drew on one slice.

    Args:
        z: place of the slice, mm.
        points: x, y in pixels, int (n, 2), the first pixels outside of what is outlined.
        is_hole: whether what is outlined is no part of the nodule.
    """

    z: float
    points: np.ndarray
    is_hole: bool


@dataclass(frozen=True, eq=False)
class Annotation:
    """A nodule of 3 mm or more, as one reader saw it.

    Args:
        reader: number of the reading session, from 0.
        malignancy: 1 (highly unlikely) to 5 (highly suspicious).
        outlines: a slice each, holes beside what they are in.
    """

    reader: int
    malignancy: int
    outlines: tuple[Outline, ...]


def read_annotations(path: Path) -> tuple[str, list[Annotation]] | None:
    """Read the file of one scan.

    Nodules under 3 mm have one point and no ratings, other findings ("non-nodules") no outline: both are left out.

    Returns:
        UID of the series and what was drawn; None for XML of another kind, such as that of LIDC's radiographs.

    Raises:
        UserError: the file is damaged.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        text = path.read_bytes()
        if b"<!ENTITY" in text:
            raise ValueError("it defines entities, which no file of LIDC does")
        root = ElementTree.fromstring(text)
        if _name(root) != "LidcReadMessage":
            return None
        series = _text(next(iter(_all(root, "ResponseHeader"))), "SeriesInstanceUid")
        sessions = enumerate(_all(root, "readingSession"))
        drawn = (_annotation(i, nodule) for i, session in sessions for nodule in _all(session, "unblindedReadNodule"))
        return series, [one for one in drawn if one is not None]
    except (ElementTree.ParseError, OSError, ValueError, StopIteration) as error:
        raise UserError(
            f"Cannot read the annotations {path}\n{error or 'it names no series'}\nGet it again."
        ) from error


def _annotation(reader: int, nodule: ElementTree.Element) -> Annotation | None:
    ratings = [rating for part in _all(nodule, "characteristics") for rating in _all(part, "malignancy")]
    outlines = [_outline(roi) for roi in _all(nodule, "roi")]
    if not ratings or not ratings[0].text or sum(len(outline.points) for outline in outlines) < 2:
        return None
    malignancy = int(ratings[0].text)
    return Annotation(reader, malignancy, tuple(outlines)) if 1 <= malignancy <= 5 else None


def _outline(roi: ElementTree.Element) -> Outline:
    points = [(int(_text(edge, "xCoord")), int(_text(edge, "yCoord"))) for edge in _all(roi, "edgeMap")]
    is_hole = _text(roi, "inclusion").strip().upper() == "FALSE"
    return Outline(float(_text(roi, "imageZposition")), np.array(points, np.int64).reshape(-1, 2), is_hole)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]  # without the namespace


def _all(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in element if _name(child) == name)


def _text(element: ElementTree.Element, name: str) -> str:
    found = next(_all(element, name), None)
    if found is None or not found.text:
        raise ValueError(f"{_name(element)} has no {name}")
    return found.text.strip()
