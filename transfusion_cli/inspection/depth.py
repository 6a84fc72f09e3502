"""Images of fewer bits than their files: 12 bits in 16 would be shown at a sixteenth of the range, nearly black."""

from __future__ import annotations

import contextlib

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.inspection.image_facts import FULL, greatest

DEPTHS = (8, 10, 12, 14)
"""Bits that cameras and scanners have; a 16-bit file whose values stay below 2^14 holds one of these."""


def depth_of(peak: int) -> tuple[str, str] | None:
    """What the greatest value over 16-bit files tells, and what to type; None where nothing is odd."""
    bits = next((bits for bits in DEPTHS if 0 < peak < 2**bits), None)
    if bits is None:
        return None
    white = 2**bits - 1
    what = f"Values reach {peak:,} of {FULL:,}: these look like {bits}-bit images in 16-bit files"
    # Centre and width of 0 to white: what is stored as 0 becomes 0, and white 1.
    return (
        f"{what}, shown at {100 * peak / FULL:.2g} % of the range",
        f'Show all of it: --data.window "[{white / 2}, {white}]" (centre and width).',
    )


def depth_remark(data: MedicalDataModule, images: int = 16) -> str | None:
    """Look at a few images, for commands that do not read all, and say whether they have fewer bits than their files.

    Of each the header is read, and the pixels where it is 16 bits deep and no window is given.

    Args:
        data: the data module.
        images: so many, spread over the table.

    Returns:
        What was found and what to type, in two lines; None where nothing is odd.
    """
    if getattr(data, "window", True) is not None:  # given, or not to be given
        return None
    table, peak = data.samples, 0
    rows = np.flatnonzero(table.split != "")
    for row in rows[np.linspace(0, len(rows) - 1, min(images, len(rows))).astype(int)].tolist():
        with contextlib.suppress(Exception):  # what cannot be read is no matter here
            peak = max(peak, greatest(data.make_reader(table.split[row], None), row))
    found = depth_of(peak)
    return None if found is None else "\n".join(found)
