"""Downloading so that only whole and correct files ever appear under their names."""

from __future__ import annotations

import hashlib
import logging
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from transfusion_cli.data.layout.unpack import require_space, unpack
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

CONNECTIONS = 10
"""How many may be cut, as long as each brings more of the file, before the user is asked to try again."""

TIMEOUT = 60
"""Seconds without a byte after which a connection counts as cut."""

_DIGESTS: dict[int, tuple[str, Callable[[], Any]]] = {
    32: ("MD5", lambda: hashlib.md5(usedforsecurity=False)),
    64: ("SHA-256", hashlib.sha256),
}


def download(url: str, path: Path, checksum: str, size: int | None = None) -> None:
    """Fetch a file, compare its checksum, then give it its name. Does nothing where ``path`` exists.

    What has arrived waits in a hidden file beside ``path``. After an interruption the next call goes on from there if
    the server can send the rest of a file (RFC 9110, 14), and compares the whole.

    Args:
        url: where the file is.
        path: where it shall be; folders are made.
        checksum: MD5 (32 digits) or SHA-256 (64), hexadecimal.
        size: bytes, if known, to see beforehand whether there is room.

    Raises:
        UserError: no connection, no space, or another checksum than expected.
    """
    with _alone(path.parent):
        _download(url, path, checksum, size)


def fetch_archive(url: str, folder: Path, gives: str, checksum: str, size: int | None = None) -> None:
    """Download a zip or tar archive and unpack it; the archive does not stay. Does nothing where its contents exist.

    Args:
        url: where the archive is.
        folder: what its contents go into.
        gives: the file or folder at the top of the archive.
        checksum: MD5 or SHA-256 of the archive.
        size: bytes of the archive, if known.

    Raises:
        UserError: as ``download`` and ``unpack``. An archive that is whole waits for the next call.
    """
    with _alone(folder):
        if (folder / gives).exists():
            return
        archive = folder / f".{checksum[:8]}.archive"
        _download(url, archive, checksum, size)
        unpack(archive, folder)
        archive.unlink()


def _download(url: str, path: Path, checksum: str, size: int | None) -> None:
    if path.exists():
        return
    part = path.with_name(f".{path.name}.{checksum[:8]}.part")  # never taken for a part of another version
    kind, digest = _DIGESTS[len(checksum)]
    try:
        require_space(path.parent, (size or 0) - _size(part))
        _fetch_rest(url, part, path.name)
        with part.open("rb") as file:
            found = hashlib.file_digest(file, digest).hexdigest()
        if found != checksum:
            part.unlink()
            raise UserError(f"The download of {url} is damaged\n{kind} {found} instead of {checksum}\nTry again.")
        part.rename(path)
    except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
        done = _size(part)
        advice = f"Try again: it goes on after {done:,} bytes." if done else "Fetch it with a browser and put it there."
        raise UserError(f"Cannot download {url}\nto {path}: {error}\n{advice}") from error


def _fetch_rest(url: str, part: Path, name: str) -> None:
    """Bring the partial file to its full length, over as many connections as bring it on."""
    for left in reversed(range(CONNECTIONS)):
        before = _size(part)
        try:
            _fetch_more(url, part, name)
            return
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError) and error.code == 416 and before:
                return  # nothing comes after what is here; its checksum tells whether that is the file
            if not left or _size(part) <= before:
                raise
            log.info("%s: %s; going on after %d bytes", url, error, _size(part))


def _fetch_more(url: str, part: Path, name: str) -> None:
    """Add to the partial file what one connection gives.

    Raises:
        OSError: the connection was cut, among others.
    """
    from tqdm import tqdm

    done = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as source:
        if not (source.headers.get("Content-Range") or "").startswith(f"bytes {done}-"):
            done = 0  # the server sends the file from its beginning
        length = source.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        with (
            part.open("ab" if done else "wb") as file,
            tqdm(desc=name, initial=done, total=total, unit="B", unit_scale=True) as bar,
        ):
            while chunk := source.read(1 << 20):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise OSError(f"the connection was cut after {_size(part):,} of {total:,} bytes")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let other processes that download into the same folder wait, where the file system can lock it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {folder}\n{error}") from error
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl

            place = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, place)
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
