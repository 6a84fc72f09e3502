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

    def sides(self, name: str, value: int | tuple[int, int] | None) -> None:
        """Height and width, or one number for both, are sides of an image; None stands for no value."""
        sides = value if isinstance(value, tuple | list) else () if value is None else (value,)
        if any(not 1 <= side <= LARGEST_SIDE for side in sides):
            told = f"{name} must be a number of pixels from 1 to {LARGEST_SIDE:,}, got {value}"
            self._wrong.append((told, f"{name} 224"))

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
