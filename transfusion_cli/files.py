"""Writing files so that each appears whole under its name or not at all, and nothing is written elsewhere."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name, and the place of what was there, once it is whole and on the disk.

    A link at ``path`` gives way; what it leads to stays as it is.

    Args:
        path: Where it shall be; its folder is made if need be.

    Yields:
        The open file, beside its place. It goes away if the block fails.

    Raises:
        OSError: It cannot be written; what lay at ``path`` is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _free_partial(path)
    with open(partial, "xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
    os.replace(partial, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    with whole_file(path) as file:
        file.write(text.encode())


def second_name(existing: Path, path: Path) -> None:
    """Give a file that nobody changes another name, in place of what was there; a copy where links are unknown.

    Raises:
        OSError: Neither can be made.
    """
    partial = _free_partial(path)
    try:
        os.link(existing, partial)
    except OSError:
        with whole_file(path) as copy, existing.open("rb") as file:
            shutil.copyfileobj(file, copy)
    else:
        os.replace(partial, path)


def _free_partial(path: Path) -> Path:
    """The name beside ``path`` under which it is written; what a killed process, or a stranger, left there goes."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    return partial


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
