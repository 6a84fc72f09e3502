"""What reading the images tells."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.inspection.counts import kinds
from transfusion_cli.inspection.depth import depth_of
from transfusion_cli.inspection.duplicates import Duplicates
from transfusion_cli.inspection.finding import Finding, Level, examples
from transfusion_cli.inspection.image_facts import MISSING, READ, UNREADABLE
from transfusion_cli.inspection.scan import Scan

EMPTY = 0.01
"""Contrast below which an image is nearly uniform; noise alone on a blank film or slide stays below it."""

LEAVE_OUT = "Get them again, or leave them out: --out DIR writes a list for --data.exclude."


def check_readable(table: SampleTable, scan: Scan, unit: str = "images") -> Iterator[Finding]:
    """Every file must be there and decode to its end."""
    missing, broken = scan.rows(MISSING), scan.rows(UNREADABLE)
    if len(missing):
        message = f"{len(missing):,} files are missing: {examples(table.ids[missing])}"
        yield Finding("error", "missing", message, LEAVE_OUT, {"images": len(missing)})
    if len(broken):
        message = f"{len(broken):,} {unit} cannot be read: {examples(table.ids[broken])}"
        message += f" ({scan.reasons[int(broken[0])]})"
        yield Finding("error", "unreadable", message, LEAVE_OUT, {"images": len(broken)})


def check_duplicates(
    table: SampleTable, duplicates: Duplicates, known_leak: str, unit: str = "images", labels: str = "labels"
) -> Iterator[Finding]:
    """No image may be in two splits or under two labels; within a split it counts double."""
    grave: Level = "warning" if known_leak else "error"
    kinds: list[tuple[Level, str, np.ndarray, str]] = [
        (grave, "duplicates-across-splits", duplicates.crosses, "are in more than one split"),
        ("error", "conflicting-labels", duplicates.conflicts, f"have different {labels}"),
        (
            "warning",
            "duplicates",
            ~duplicates.crosses & ~duplicates.conflicts,
            f"are there several times in one split, under the same {labels}",
        ),
    ]
    for level, kind, groups, text in kinds:
        if not groups.any():
            continue
        inside = groups[duplicates.groups]
        first = duplicates.rows[duplicates.groups == int(groups.argmax())]
        message = f"{groups.sum():,} {unit} {text}, {inside.sum():,} samples: {' = '.join(table.ids[first][:3])}"
        advice = "Leave the copies out: --out DIR writes a list for --data.exclude, and one of all copies to look at."
        yield Finding(level, kind, message, advice, {"images": int(groups.sum()), "samples": int(inside.sum())})


def check_empty(table: SampleTable, scan: Scan, unit: str = "images") -> Iterator[Finding]:
    """Nearly uniform images show nothing; of some classes that is right."""
    rows = empty_rows(scan)
    if len(rows):
        message = f"{len(rows):,} {unit} are nearly uniform: {examples(table.ids[rows])}"
        yield Finding("warning", "empty", message, "Look at some of them.", {"images": len(rows)})


def empty_rows(scan: Scan) -> np.ndarray:
    """Rows whose images are nearly uniform."""
    return np.flatnonzero((scan.facts["state"] == READ) & (scan.facts["contrast"] < EMPTY))


def check_storage(scan: Scan) -> Iterator[Finding]:
    """Colour among grey, and several depths, are worth knowing of."""
    found = kinds(scan.facts[scan.rows(READ)])
    if len(found) > 1:
        text = ", ".join(f"{number:,} {kind}" for kind, number in found.items())
        advice = "Does the kind of file go with a class? A network would learn that."
        yield Finding("note", "storage", f"Files are of several kinds: {text}", advice)


def check_depth(scan: Scan, has_window: bool) -> Iterator[Finding]:
    """16-bit files may hold images of fewer bits, which are nearly black then.

    Args:
        scan: facts of each image.
        has_window: whether the data module has an option for it.
    """
    found = depth_of(int(scan.facts["peak"].max(initial=0)))
    if found is not None:
        yield Finding("warning", "depth", found[0], found[1] if has_window else "")
