"""Writing files so that each is there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A new, empty file beside ``path`` to write to; it takes the place of ``path`` when the block ends well.

    Nothing is ever written through a link: neither ``path`` nor the file beside it may lead elsewhere.

    Args:
        path: what is to be written; its folder is made if need be.

    Raises:
        OSError: nothing could be written; what lay at ``path`` is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.partial")
    part.unlink(missing_ok=True)  # of a process that was killed
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def second_name(existing: Path, path: Path) -> None:
    """Give a file that is never changed another name, in place of what lay there; a copy where links are unknown.

    Raises:
        OSError: neither could be made.
    """
    part = path.with_name(f".{path.name}.partial")
    part.unlink(missing_ok=True)
    try:
        os.link(existing, part)
        os.replace(part, path)
    except OSError:
        with whole(path) as copy:
            copy.write_bytes(existing.read_bytes())
