"""The one exception that means "the user can mend this"."""


class UserError(Exception):
    """A mistake in what the user gave: a path, a value, a file.

    The message has at most three lines: what was wrong, where, and the next thing to type. The command
    line prints it without a traceback and exits with code 2.
    """
