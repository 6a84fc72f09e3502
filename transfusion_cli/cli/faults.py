"""What a command says when it is stopped or the machine fails it, and the code that it ends with.

The only place that knows: all others let such exceptions rise. How to go on with a run is a note on the exception.
"""

import errno
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from transfusion_cli.errors import ALONE, MachineError, Stopped, UserError

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))
"""What ends a command, beside Ctrl-C, and would else end it before it could tidy up."""

AGAIN = "The same command starts again."

AFTER_STOP = {
    "fit": f"There is no checkpoint to go on from. {AGAIN}",
    "validate": f"No results were written. {AGAIN}",
    "test": f"No results were written. {AGAIN}",
    "predict": f"No predictions were written. {AGAIN}",
    "check": "Nothing was written.",
    "data check": f"Nothing was written. {AGAIN}",
    "data prepare": "The same command goes on from here.",
}
"""What to know after a stop, by verb, where no note says how to go on."""

DEVICE_MEMORY = (
    "The device ran out of memory.\n"
    "Try half the --data.batch_size (in training with --trainer.accumulate_grad_batches 2: the steps stay the same),\n"
    "or --trainer.precision bf16-mixed."
)
MEMORY = (
    "The memory of this machine ran out.\n"
    "Try fewer --data.num_workers or a smaller --data.batch_size, or close other programs."
)
FILES = "Too many files are open.\nRaise the limit (ulimit -n 8192), or try fewer --data.num_workers."

WORDS = (
    (r"too many open files", FILES),
    (r"(CUDA|HIP|MPS|XPU|device).{0,40}out of memory|CUBLAS_STATUS_ALLOC_FAILED", DEVICE_MEMORY),
    (r"can't allocate memory|cannot allocate memory|unable to allocate .* for an array", MEMORY),
    (
        r"gloo.*(closed|reset|timed out|broken pipe)|connection (closed|reset) by peer|NCCL|remote process exited",
        ALONE,
    ),
)
"""What errors of torch and of the system say, and what it means; the first that fits counts."""


class Fault(NamedTuple):
    """How a command ends.

    Args:
        text: what it says on stderr; empty for nothing.
        code: its exit code.
    """

    text: str
    code: int


def fault(error: BaseException, verb: str) -> Fault | None:
    """How to end a command because of ``error``; None for an error that nobody foresaw, which keeps its traceback.

    Args:
        error: what was raised.
        verb: the verb, for ``data`` with its action.
    """
    notes = getattr(error, "__notes__", [])
    match error:
        case MachineError():
            return Fault("\n".join([f"transfusion: {error}", *notes]), error.code)
        case UserError():
            return Fault(f"transfusion: {error}", error.code)
        case KeyboardInterrupt():
            number = getattr(error, "number", signal.SIGINT)
            why = {"SIGINT": "", "SIGPIPE": " (nobody reads the output any more)"}.get(number.name, f" ({number.name})")
            return Fault(
                "\n".join([f"Stopped{why}. {(notes or [AFTER_STOP.get(verb, AGAIN)])[0]}", *notes[1:]]), 128 + number
            )
        case BrokenPipeError() if getattr(sys.stdout, "unread", False):
            return Fault("", 128 + signal.SIGPIPE)
    words = _words(error)
    return None if words is None else Fault("\n".join([f"transfusion: {words}", *notes]), 1)


def _words(error: BaseException) -> str | None:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return MEMORY
    if type(error).__name__ == "OutOfMemoryError":
        return DEVICE_MEMORY
    if not isinstance(error, RuntimeError | OSError):
        return None
    return next((words for pattern, words in WORDS if re.search(pattern, str(error), re.IGNORECASE | re.DOTALL)), None)


def end(error: BaseException, verb: str) -> NoReturn:
    """End the command because of ``error``.

    Raises:
        SystemExit: with the right code, after a line or two on stderr.
        BaseException: ``error`` itself, where it should be seen whole.
    """
    if isinstance(error, SystemExit) or (isinstance(error, Exception) and os.environ.get("TRANSFUSION_DEBUG")):
        raise error
    found = fault(error, verb)
    if found is None:
        raise error
    first = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
    if found.text and (
        first or not isinstance(error, KeyboardInterrupt)
    ):  # all processes of a run are stopped together
        _say(found.text)
    raise SystemExit(found.code) from None


@contextmanager
def signals_rise() -> Iterator[None]:
    """Turn signals that would end Python at once into an exception, so that what was begun is tidied up."""
    previous: dict[int, Any] = {}
    with suppress(ValueError):  # not in the main thread, where Python allows no signal handlers
        for number in SIGNALS:
            if signal.getsignal(number) == signal.SIG_DFL:  # what nohup has ignored stays so
                previous[number] = signal.signal(number, _rise)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def nothing_begun() -> Iterator[None]:
    """End at once on Ctrl-C: the modules of others, while they are imported, do not let an exception through."""
    try:
        previous = signal.signal(signal.SIGINT, _leave)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _rise(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    _say("Stopped. Nothing had begun.")
    os._exit(128 + number)


def _say(text: str) -> None:
    with suppress(OSError):
        if sys.stderr.isatty():
            print(file=sys.stderr)  # below the bar
        print(text, file=sys.stderr, flush=True)
