"""Locks between processes: one alone fills a cache, one alone writes into a run folder."""

import errno
import logging
import os
import time
from pathlib import Path
from typing import Self

from transfusion_cli.errors import UserError
from transfusion_cli.files import itself

log = logging.getLogger(__name__)

POLL = 0.1
"""Seconds between two attempts at a lock that another process holds."""


def is_held(path: Path) -> bool:
    """Whether another process holds the lock at a path; nothing is made or written.

    Not for a process that may hold it itself: closing the file would let go.
    """
    try:
        import fcntl

        file = itself(str(path), os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)
    finally:
        os.close(file)
    return False


class FileLock:
    """A lock that one process holds until it lets go or ends, however it ends.

    It belongs to the process, not to the open file: workers do not inherit it, so those that outlive a killed parent
    do not hold it either. For the same reason two of them on one path in one process do not exclude each other, and
    the first to let go lets go for both. The file stays, empty: who deletes it lets others in.

    Where the file system cannot lock, and on systems without such locks, the lock is granted with a warning.

    As a context manager it waits for its turn, unless it is held already.

    Args:
        path: the file; made if absent, in a folder that exists. Nothing is written to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, timeout: float | None = None) -> bool:
        """Take the lock.

        Args:
            timeout: seconds to wait for another process; 0 asks once, None waits as long as it takes.

        Returns:
            Whether this process holds it now.

        Raises:
            UserError: a link, or something else that is no plain file, stands at the path.
            OSError: the file cannot be made or opened.
        """
        if self._file is not None:
            return True
        file = self._open()
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._is_granted(file):
                if deadline is not None and time.monotonic() >= deadline:
                    os.close(file)
                    return False
                time.sleep(POLL)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Let go, if it is held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        try:
            return itself(str(self.path), os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise UserError(
                f"a link, or no plain file: {self.path}\nAn empty file is kept there as a lock.\nRemove it."
            ) from None

    def _is_granted(self, file: int) -> bool:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except (ImportError, OSError) as error:
            log.warning("%s cannot be locked (%s): let no other process work there now", self.path, error)
        return True
