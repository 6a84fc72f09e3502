"""What a command says when it is stopped or the machine fails it, and the code that it ends with.

The only place that knows: all others let such exceptions rise. How to go on with a run is a note on the exception.
"""

import errno
import os
import re
import signal
import sys
from contextlib import AbstractContextManager, suppress
from types import FrameType
from typing import NamedTuple, NoReturn

from transfusion_cli.errors import ALONE, Fault, Stopped, UserError
from transfusion_cli.signals import answered, known

SIGNALS = known("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""What ends a command, beside Ctrl-C, and would else end it before it could tidy up."""

AGAIN = "The same command starts again."

AFTER_STOP = {
    "fit": f"There is no checkpoint to go on from. {AGAIN}",
    "validate": f"No results were written. {AGAIN}",
    "test": f"No results were written. {AGAIN}",
    "predict": f"No predictions were written. {AGAIN}",
    "calibrate": f"No decisions were written. {AGAIN}",
    "check": "Nothing was written.",
    "data check": f"Nothing was written. {AGAIN}",
    "data prepare": "The same command goes on from here.",
    "rank": "The same command goes on from here.",
}
"""What to know after a stop, by verb, where no note says how to go on."""

DEVICE_MEMORY = (
    "The device ran out of memory",
    "Try half the --data.batch_size (training: with --trainer.accumulate_grad_batches 2, for the same steps) "
    "or --trainer.precision bf16-mixed",
)
MEMORY = (
    "The memory of this machine ran out",
    "Try fewer --data.num_workers or a smaller --data.batch_size, or close other programs",
)
FILES = ("Too many files are open", "Raise the limit (ulimit -n 8192), or try fewer --data.num_workers")

NUMBERS = {errno.ENOMEM: MEMORY, errno.EMFILE: FILES}
"""Errors of the system, by their number: what failed, and what mends it."""

WORDS = (
    (r"too many open files|ancillary data", FILES),
    (r"(CUDA|HIP|MPS|XPU|device).{0,40}out of memory|CUBLAS_STATUS_ALLOC_FAILED", DEVICE_MEMORY),
    (r"can't allocate memory|cannot allocate memory", MEMORY),
    (
        r"gloo.{0,80}(closed|reset|timed out|broken)|nccl.{0,300}(remote|abort|timeout|timed out)|was likely closed",
        ALONE,
    ),
)
"""What RuntimeErrors of torch say, and what it means; the first that fits counts."""


class Ending(NamedTuple):
    """How a command ends.

    Args:
        text: what it says on stderr; empty for nothing.
        code: its exit code.
    """

    text: str
    code: int


def ending(error: BaseException, verb: str) -> Ending | None:
    """How to end a command because of ``error``; None for an error that nobody foresaw, which keeps its traceback.

    Args:
        error: what was raised.
        verb: the verb, for ``data`` with its action.
    """
    notes = getattr(error, "__notes__", [])
    match error:
        case UserError():
            return Ending(f"transfusion: {error}", error.code)
        case KeyboardInterrupt():
            number = getattr(error, "number", signal.SIGINT)
            why = "" if notes or number.name == "SIGINT" else f" ({number.name})"  # training has named it already
            why = " (nobody reads the output any more)" if number.name == "SIGPIPE" else why
            then, *more = notes or [AFTER_STOP.get(verb, AGAIN)]
            return Ending("\n".join([f"Stopped{why}. {then}", *more]), 128 + number)
        case BrokenPipeError() if getattr(sys.stdout, "unread", False):
            return Ending("", 128 + signal.SIGPIPE)
    found = _fault(error)
    return None if found is None else Ending(f"transfusion: {found}", found.code)


def _fault(error: BaseException) -> Fault | None:
    found = None
    if type(error).__name__ == "OutOfMemoryError":
        found = DEVICE_MEMORY
    elif isinstance(error, MemoryError):
        found = MEMORY
    elif isinstance(error, OSError):
        found = NUMBERS.get(error.errno or 0)
    elif isinstance(error, RuntimeError):
        found = next(
            (words for pattern, words in WORDS if re.search(pattern, str(error), re.IGNORECASE | re.DOTALL)), None
        )
    if found is None:
        return None
    fault = Fault(*found)
    fault.next = next((note[:1].lower() + note[1:] for note in getattr(error, "__notes__", [])), fault.next)
    return fault


def end(error: BaseException, verb: str) -> NoReturn:
    """End the command because of ``error``.

    Raises:
        SystemExit: with the right code, after a line or two on stderr.
        BaseException: ``error`` itself, where it should be seen whole.
    """
    if isinstance(error, SystemExit) or (isinstance(error, Exception) and os.environ.get("TRANSFUSION_DEBUG")):
        raise error
    found = ending(error, verb)
    if found is None:
        raise error
    first = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
    told_by_first = isinstance(error, KeyboardInterrupt) and not first  # all processes of a run stop together
    if found.text and not told_by_first:
        _say(found.text)
    raise SystemExit(found.code) from None


def signals_rise() -> AbstractContextManager[None]:
    """Turn signals that would end Python at once into an exception, so that what was begun is tidied up.

    What nohup has ignored stays so.
    """
    return answered([number for number in SIGNALS if signal.getsignal(number) == signal.SIG_DFL], _rise)


def nothing_begun() -> AbstractContextManager[None]:
    """End at once on Ctrl-C: the modules of others, while they are imported, do not let an exception through."""
    return answered([signal.SIGINT], _leave)


def _rise(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    _say("Stopped. Nothing had begun.")
    os._exit(128 + number)


def _say(text: str) -> None:
    with suppress(OSError):
        if getattr(sys.stdout, "in_line", False):
            print(file=sys.stderr)  # below the bar
        print(text, file=sys.stderr, flush=True)
