"""The exceptions that mean "this is a matter between the user and their machine", and no fault of this program."""

import signal


class UserError(Exception):
    """A mistake in what the user gave: a path, a value, a file.

    The message has at most three lines: what was wrong, where, and the next thing to type. The command
    line prints it without a traceback and exits with code 2.
    """

    code = 2
    """What the command exits with."""


class Fault(UserError):
    """Something gave way though nothing that was typed is wrong, such as a disk that is full: exit code 1.

    Args:
        what: what failed, and where.
        cure: what mends it, as a sentence without its full stop.
    """

    code = 1

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what, cure)
        self.what, self.cure = what, cure
        self.next = "type the same command again"
        """What to do then; whoever knows where a run goes on says so."""

    def __str__(self) -> str:
        return f"{self.what}\n{self.cure}, then {self.next}"


class Stopped(KeyboardInterrupt):
    """A signal ended the command.

    Args:
        number: the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = signal.Signals(number)


ALONE = (
    "Another process of this run ended, and this one cannot go on alone",
    "What it said stands above; if nothing does, the system killed it: look at the memory",
)
"""What a process says that lost one of its fellows: ``what`` and ``cure`` of a ``Fault``."""
