"""The exceptions that the command line ends with in a few words, without a traceback."""

import signal

ALONE = (
    "Another process of this run ended, and this one cannot go on alone.\n"
    "What it said stands above; if nothing does, the system killed it: look at the memory."
)
"""What a process says that lost one of its fellows."""


class UserError(Exception):
    """A mistake in what the user gave: a path, a value, a file.

    The message has at most three lines: what was wrong, where, and the next thing to type. The command
    line prints it without a traceback and exits with code 2.
    """

    code = 2


class MachineError(UserError):
    """Nobody's mistake: memory, a disk or a process failed. The command exits with code 1.

    The message has at most two lines: what happened, and what to do. How to go on with the run is added to it.
    """

    code = 1


class Stopped(KeyboardInterrupt):
    """A signal ended the command.

    Args:
        number: the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = signal.Signals(number)
