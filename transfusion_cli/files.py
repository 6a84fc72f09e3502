"""Writing files so that each appears whole under its name or not at all, and nothing is written elsewhere."""

import errno
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from transfusion_cli.errors import Fault

NO_ROOM = tuple(getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name))
"""A full disk, and a user's share of it that is used up."""


class _Noting(io.BufferedWriter):
    """Remembers why it could not be written to: callers such as ``torch.save`` put an error of their own in place."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name, and the place of what was there, once it is whole and on the disk.

    A link at ``path`` gives way; what it leads to stays as it is.

    Args:
        path: where it shall be; its folder is made if need be.

    Yields:
        The open file, beside its place. It goes away if the block fails.

    Raises:
        Fault: it cannot be written; what lay at ``path`` is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _free_partial(path)
        file = _Noting(io.FileIO(partial, "x"))
    except OSError as error:
        raise not_written(path, error) from error
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        with suppress(OSError):  # what was not written yet is tried once more
            file.close()
        failure = file.failure or error
        if isinstance(failure, OSError):
            raise not_written(path, failure) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        Fault: it cannot be written.
    """
    with whole_file(path) as file:
        file.write(text.encode(errors="surrogateescape"))  # file names may hold bytes that are no text


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write strict JSON, whole or not at all: what is undefined is null, never NaN.

    Raises:
        Fault: it cannot be written.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def append(path: Path, content: bytes) -> None:
    """Add to a file that grows, all of ``content`` or nothing; made if absent.

    Raises:
        Fault: it cannot be written; it is as long as it was.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            end, rest = file.seek(0, os.SEEK_END), memoryview(content)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                with suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise not_written(path, error) from error


def require_writable(folder: Path) -> None:
    """See that a folder, or the one that it shall be made in, takes files: before the work whose results they hold.

    Raises:
        Fault: it does not, or its disk is full.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        raise not_written(folder, error) from error


def not_written(path: Path, error: OSError) -> Fault:
    """What to say of a file or folder that cannot be written: which, why, and how much room there is.

    Args:
        path: where it is.
        error: what the system said.
    """
    what = f"Could not write {path}: {error.strerror or error}"
    if error.errno not in NO_ROOM:
        return Fault(what, "See that files can be written there")
    folder = next(above for above in (path.absolute(), *path.absolute().parents) if above.is_dir())
    return Fault(f"{what}; {shutil.disk_usage(folder).free / 1e6:,.1f} MB are free there", "Free some space there")


def second_name(existing: Path, path: Path) -> None:
    """Give a file that nobody changes another name, in place of what was there; a copy where links are unknown.

    Raises:
        Fault: neither can be made.
    """
    try:
        partial = _free_partial(path)
        os.link(existing, partial)
        os.replace(partial, path)
    except OSError:
        with whole_file(path) as copy, existing.open("rb") as file:
            shutil.copyfileobj(file, copy)


def _free_partial(path: Path) -> Path:
    """The name beside ``path`` under which it is written; what a killed process, or a stranger, left there goes."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    return partial


def itself(path: str, flags: int) -> int:
    """Open a file itself and never what a link leads to: the ``opener`` of files in folders that others may write to.

    Args:
        path: the file.
        flags: as of ``os.open``.

    Returns:
        The open file.

    Raises:
        OSError: also where a symbolic link, one of several hard links, a folder or a pipe stands at the path.
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
