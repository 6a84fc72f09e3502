"""Signals of the system that are answered for a while."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


def known(*names: str) -> tuple[signal.Signals, ...]:
    """Those of some signals that this system has; Windows lacks most."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


@contextmanager
def answered(numbers: Iterable[int], answer: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Have signals answered meanwhile by ``answer``, a handler as Python calls them."""
    previous: dict[int, Any] = {}
    try:
        with suppress(ValueError):  # not in the main thread, where Python allows no handlers
            for number in numbers:
                previous[number] = signal.signal(number, answer)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
