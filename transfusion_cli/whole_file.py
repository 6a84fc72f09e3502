"""Files that appear whole under their names or not at all, and are written nowhere else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name, and the place of one there, once it is whole and on the disk.

    Args:
        path: Where it shall be.

    Yields:
        The open file, beside its place. It goes away if the block fails.

    Raises:
        OSError: It cannot be written, or a link stands in its way.
    """
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb", opener=itself) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    os.replace(partial, path)


def itself(path: str, flags: int) -> int:
    """Open a file itself and never what a link leads to: the ``opener`` of files in folders that others may write to.

    Args:
        path: The file.
        flags: As of ``os.open``.

    Returns:
        The open file.

    Raises:
        OSError: Also where a symbolic link, one of several hard links, a folder or a pipe stands at the path.
    """
    refused = OSError(errno.ELOOP, "a link, or no plain file", path)
    exactly = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its end
    try:
        file = os.open(path, (flags & ~os.O_TRUNC) | exactly, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO):
            raise refused from None
        raise
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        os.close(file)
        raise refused
    if flags & os.O_TRUNC:  # not before it is known what would be emptied
        os.ftruncate(file, 0)
    return file
