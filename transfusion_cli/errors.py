"""The exceptions that mean "this is a matter between the user and their machine", and no fault of this program."""


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
        what: What failed, and where.
        cure: What mends it, as a sentence without its full stop.
    """

    code = 1

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what, cure)
        self.what, self.cure = what, cure
        self.next = "type the same command again"
        """What to do then; whoever knows where a run goes on says so."""

    def __str__(self) -> str:
        return f"{self.what}\n{self.cure}, then {self.next}"
