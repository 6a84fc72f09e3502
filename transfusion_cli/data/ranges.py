"""Options of a data module that are out of their range, all told at once."""

import math
import os

from transfusion_cli.data.reading.limits import MAX_PIXELS
from transfusion_cli.errors import UserError

LARGEST_SIDE = math.isqrt(MAX_PIXELS)
"""Pixels of the side of an image that a network is given."""


class Ranges:
    """Collects what is out of range, to be told in one message."""

    def __init__(self) -> None:
        self._wrong: list[tuple[str, str]] = []

    def least(self, name: str, value: int | None, least: int) -> None:
        """An integer has a lower bound; None stands for no value."""
        if value is not None and value < least:
            self._wrong.append((f"{name} must be at least {least}, got {value}", f"{name} {max(least, 1)}"))

    def workers(self, name: str, value: int) -> None:
        """Processes that load images: each takes memory, and beyond the cores of a machine they bring nothing."""
        self.least(name, value, 0)
        most = max(64, 4 * (os.cpu_count() or 1))
        if value > most:
            self._wrong.append((f"{name} must be at most {most} on this machine, got {value}", f"{name} 4"))

    def share(self, name: str, value: float, ends: tuple[int, ...] = (), instead: float = 0.1) -> None:
        """A share lies between 0 and 1; it may be one of these, its ``ends``, where nothing or the whole is one."""
        if not 0 < value < 1 and value not in ends:
            self._wrong.append((f"{name} must lie between 0 and 1, got {value}", f"{name} {instead}"))

    def sides(self, name: str, value: int | tuple[int, ...] | None, dims: int = 2) -> None:
        """As many sides as an image has axes, or one number for all of them; None stands for no value."""
        sides = value if isinstance(value, tuple | list) else () if value is None else (value,)
        if any(not 1 <= side <= LARGEST_SIDE for side in sides):
            told = f"{name} must be a number of pixels from 1 to {LARGEST_SIDE:,}, got {value}"
            self._wrong.append((told, f"{name} 224"))
        elif isinstance(value, tuple | list) and len(value) != dims:
            told = f"{name} must be one number or {dims}, got {list(value)}"
            self._wrong.append((told, f"{name} {value[0] if value else 224}"))

    def cubes(self, cube: float, voxel: float, window: tuple[float, float]) -> None:
        """Side and voxel of cubes in mm, and Hounsfield units for black and white."""
        if not (voxel > 0 and 1 <= cube / voxel <= 512):
            self._wrong.append((f"cube of {cube} mm in voxels of {voxel} mm has no 1 to 512 voxels a side", "cube 48"))
        if len(window) != 2 or not window[0] < window[1]:
            self._wrong.append(
                (f"window must be two Hounsfield units, the lower first, got {window}", "window [-1000,600]")
            )

    def settle(self) -> None:
        """End the collection.

        Raises:
            UserError: something was out of range.
        """
        match self._wrong:
            case []:
                return
            case [(told, instead)]:
                raise UserError(f"{told}\nTry --data.{instead}")
            case several:
                more = f"; and {len(several) - 3} more" if len(several) > 3 else ""
                raise UserError("\n".join(told for told, _ in several[:3]) + more)


def check_test_fraction(value: float, usual: float = 0.2, ends: tuple[int, ...] = ()) -> None:
    """See that the part held out for the test is a share.

    Args:
        value: the share of the patients.
        usual: what to suggest.
        ends: as of ``Ranges.share``.

    Raises:
        UserError: it is none.
    """
    ranges = Ranges()
    ranges.share("test_fraction", value, ends, usual)
    ranges.settle()
