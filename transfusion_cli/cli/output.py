"""Standard output whose reader may leave."""

import errno
import os
import signal
from collections.abc import Callable
from typing import Any, TextIO


class Output:
    """A stream that can lose its reader, as in ``transfusion list datasets | head -1``, or with its terminal.

    From then on what is written goes nowhere. A command that takes the signal of it (``Interruption``) goes on until it
    has saved its work; any other ends.

    Args:
        stream: where to write.
    """

    unread = False
    """Whether the reader left."""

    in_line = False
    """Whether what was written last, such as a bar, did not end its line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``.

        Raises:
            BrokenPipeError: nobody reads it, and nobody but this command could know.
        """
        self.in_line = not text.endswith("\n") if text else self.in_line
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written.

        Raises:
            BrokenPipeError: see ``write``.
        """
        self._try(self._stream.flush)

    def _try(self, act: Callable[..., Any], *args: str) -> None:
        try:
            act(*args)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # the latter of a terminal that is gone
                raise
            self.unread = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # what is still held back goes there too
            os.close(nowhere)
            if not callable(signal.getsignal(signal.SIGPIPE)):
                raise BrokenPipeError(error.errno, error.strerror) from None
            signal.raise_signal(signal.SIGPIPE)
