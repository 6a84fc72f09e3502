"""From label texts to targets."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from transfusion_cli.data.layout.image_index import YES_NO, ImageIndex
from transfusion_cli.data.layout.tables import refuse, without_point
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)


@dataclass
class EncodedLabels:
    """Targets of all images, what kind they are, and the names of classes or labels."""

    kind: Target
    class_names: list[str]
    targets: np.ndarray


def encode_labels(index: ImageIndex, kind: Target | None, classes: list[str] | None, separator: str) -> EncodedLabels:
    """Encode labels.

    Several columns are labels of their own, each 1, 0 or blank (unknown). One column is a class, blank for
    unknown, or, where ``kind`` is multilabel or the separator occurs, a list of labels, blank for none.

    Args:
        index: what the source says.
        kind: kind of target; None infers it: two classes are binary, more are multiclass.
        classes: names in order; None takes those that occur, in the order of numbers or of the alphabet.
        separator: between the labels of one image.

    Raises:
        UserError: an unknown value, by its row, or fewer than two classes.
    """
    if len(index.labels) > 1:
        return _several_columns(index, kind)
    column, texts = next(iter(index.labels.items()))
    distinct, which = _distinct(texts, separator)
    if kind == "multilabel" or (kind is None and any(separator in text for text in distinct)):
        return _lists(index, column, texts, classes, separator)
    names = classes or _found({text for text in distinct if text}, column)
    if len(names) < 2:
        raise UserError(f"Labels need at least two classes, found {names}\nin {index.source}")
    if kind == "binary" and len(names) != 2:
        raise UserError(
            f"A binary target has two classes, found {len(names)}: {', '.join(names[:5])}\nin {index.source}"
        )
    codes = _codes(names) | {"": -1}
    targets = np.array([codes.get(text, -2) for text in distinct], dtype=np.int64)[which]
    _check_occur(names, distinct, column, index, bool((targets == -2).any()))
    refuse(targets == -2, texts, column, index.source, ", ".join(names))
    kind = kind or ("binary" if len(names) == 2 else "multiclass")
    if kind == "binary":
        return EncodedLabels(kind, names, np.where(targets < 0, np.nan, targets).astype(np.float32)[:, None])
    return EncodedLabels(kind, names, targets)


def _several_columns(index: ImageIndex, kind: Target | None) -> EncodedLabels:
    if kind not in (None, "multilabel"):
        raise UserError(
            f"Several label columns are a multilabel target, not {kind}\nGive one column, or leave kind out."
        )
    columns = []
    for name, texts in index.labels.items():
        distinct, which = _distinct(texts)
        values = np.array([YES_NO.get(text.lower(), np.inf) for text in distinct], dtype=np.float32)[which]
        refuse(np.isinf(values), texts, name, index.source, "1, 0 and blank (unknown)")
        columns.append(values)
    return EncodedLabels("multilabel", list(index.labels), np.stack(columns, axis=1))


def _lists(
    index: ImageIndex, column: str, texts: np.ndarray, classes: list[str] | None, separator: str
) -> EncodedLabels:
    distinct, which = _distinct(texts, separator)
    lists = [_parts(text, separator) for text in distinct]
    names = classes or _found({part for parts in lists for part in parts}, column)
    if not names:
        raise UserError(f"Column {column!r} holds no labels\nin {index.source}")
    codes = _codes(names)
    unknown = np.array([not set(parts) <= codes.keys() for parts in lists])[which]
    _check_occur(names, [part for parts in lists for part in parts], column, index, bool(unknown.any()))
    refuse(unknown, texts, column, index.source, ", ".join(names))
    targets = np.zeros((len(lists), len(names)), dtype=np.float32)
    for row, parts in enumerate(lists):
        targets[row, [codes[part] for part in parts]] = 1
    return EncodedLabels("multilabel", names, targets[which])


def label_strata(index: ImageIndex, separator: str) -> np.ndarray:
    """What draws are stratified by, bool (N, K), whichever labels are asked for and however they are encoded.

    Columns of ones, zeros and blanks are labels of the source, chosen or not. A column of texts is told apart by the
    labels that occur in it.

    Args:
        index: what the source says.
        separator: between the labels of one image.
    """
    if index.labels.keys() <= index.flags.keys():
        return np.stack(list(index.flags.values()), axis=1)
    distinct, which = _distinct(next(iter(index.labels.values())), separator)
    lists = [_parts(text, separator) for text in distinct]
    names = sorted({part for parts in lists for part in parts})
    has = [[name in parts for name in names] for parts in lists]
    return np.asarray(np.array(has, dtype=bool).reshape(len(lists), len(names))[which])


def _parts(text: str, separator: str) -> list[str]:
    return [part for part in map(str.strip, text.split(separator)) if part]


def _distinct(texts: np.ndarray, separator: str | None = None) -> tuple[list[str], np.ndarray]:
    """The texts that occur, and which of them each row has: a million rows have few.

    Whole numbers are given without a decimal point, unless what looks like one may separate labels.
    """
    import pandas as pd

    which, distinct = pd.factorize(texts.astype(object))
    found = [str(text) for text in distinct]
    parted = separator is not None and any(separator in text for text in found)
    return found if parted and separator in (".", ",") else without_point(found), which


def _check_occur(names: list[str], found: Iterable[str], column: str, index: ImageIndex, unknown: bool) -> None:
    """Where the data have classes that nobody named, those that are named and do not occur are misspelt."""
    others = sorted({text for text in found if text} - _codes(names).keys())
    absent = [name for name, plain in zip(names, without_point(names), strict=True) if plain not in set(found)]
    if unknown and absent:
        advice = did_you_mean(absent[0], others, f"Choose from: {', '.join(others[:10])}")
        raise UserError(f"No class {absent[0]!r} in column {column!r}\nof {index.source}\n{advice} (--data.classes)")


def _codes(names: list[str]) -> dict[str, int]:
    return {name: code for code, name in enumerate(without_point(names))}


def _found(names: set[str], column: str) -> list[str]:
    """Numbers by value, texts by the alphabet; those that only upper and lower case tell apart are pointed out."""
    ordered = sorted(names)
    with contextlib.suppress(ValueError):
        values = {name: float(name.replace(",", ".")) for name in ordered}
        if all(map(math.isfinite, values.values())):  # a class may be called nan, or inf
            ordered.sort(key=values.__getitem__)
    alike: dict[str, list[str]] = {}
    for name in ordered:
        alike.setdefault(name.casefold(), []).append(name)
    doubtful = [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]
    if doubtful:
        log.warning("Column %r: only upper and lower case tell these classes apart: %s", column, ", ".join(doubtful))
    return ordered
