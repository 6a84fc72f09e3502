"""Downloading a file so that only a whole and correct one ever appears under its name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import urllib.request
from pathlib import Path

from transfusion_cli.errors import UserError


def download(url: str, path: Path, md5: str) -> None:
    """Fetch ``url`` into a temporary file, compare its checksum, then move it to ``path``.

    Raises:
        UserError: No connection, no space, or another checksum than expected; nothing is left behind.
    """
    from tqdm import tqdm

    digest = hashlib.md5(usedforsecurity=False)
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(url, timeout=60) as source,
            tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file,
            tqdm(
                desc=path.name, total=int(source.headers.get("Content-Length") or 0), unit="B", unit_scale=True
            ) as bar,
        ):
            part = Path(file.name)
            while chunk := source.read(1 << 20):
                file.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
        if digest.hexdigest() != md5:
            raise UserError(f"the download of {url} is damaged\nMD5 {digest.hexdigest()} instead of {md5}\nTry again.")
        os.replace(part, path)
    except OSError as error:  # includes URLError and timeouts
        raise UserError(
            f"cannot download {url}\nto {path}: {error}\nFetch it with a browser and put it there."
        ) from error
    finally:
        if part is not None:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
