"""Faults put into a process before it runs a command: something dies at a certain place, or a signal comes there."""

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any


def at(place: str, do: Callable[[], Any], count: int = 1, after: bool = False) -> None:
    """Let something happen as a function is called.

    Args:
        place: ``module:Class.method`` or ``module:function``.
        do: what happens.
        count: at which call.
        after: not before the call, but when it is done.
    """
    from importlib import import_module

    module, _, names = place.partition(":")
    *owners, name = names.split(".")
    owner: Any = import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), 0

    def replaced(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            do()
        result = original(*args, **kwargs)
        if calls == count and after:
            do()
        return result

    setattr(owner, name, replaced)


def send(number: int) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)


def signalled(place: str, number: int = signal.SIGKILL, count: int = 1, after: bool = False) -> Callable[[], None]:
    """A fault that sends a signal; it can be sent to another process."""
    return partial(at, place, partial(send, number), count, after)
