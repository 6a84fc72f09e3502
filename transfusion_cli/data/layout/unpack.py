"""Unpacking archives so that only whole trees ever appear under their names."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from transfusion_cli.errors import UserError

JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What macOS and Windows leave in archives."""

_EXPANDS, _ANYWAY = 100, 10**8
"""Archives may unpack to a hundred times their size, or to 100 MB: images hardly shrink, text to a tenth."""


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack a zip or tar archive.

    The members are written to a hidden folder and get their places when all of them are there. An archive with members
    or links that lead out of the folder is refused.

    Args:
        archive: the file.
        folder: what the contents go into.

    Returns:
        The files and folders that the archive has at its top, in ``folder``.

    Raises:
        UserError: a damaged or dangerous archive, no space, or something of the same name is there already.
    """
    hidden = folder / f".{archive.name.lstrip('.')}.unpacking"
    try:
        shutil.rmtree(hidden, ignore_errors=True)  # left by a process that was killed
        hidden.mkdir(parents=True)
        (_unzip if zipfile.is_zipfile(archive) else _untar)(archive, hidden)
        found = sorted(path.name for path in hidden.iterdir())
        taken = [folder / name for name in found if (folder / name).exists()]
        if taken:
            raise UserError(f"{taken[0]} is there already\nand in {archive} too\nMove it away.")
        for name in found:
            (hidden / name).rename(folder / name)
        return [folder / name for name in found]
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise UserError(f"Cannot unpack {archive}\ninto {folder}: {error}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def require_space(folder: Path, size: int) -> None:
    """Fail where a disk has no room for so many bytes.

    Raises:
        OSError: how many are missing.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(f"{size / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


def _require_sane(archive: Path, size: int) -> None:
    if size > max(_ANYWAY, _EXPANDS * archive.stat().st_size):
        raise OSError(f"it unpacks to {size / 1e9:.1f} GB or more, over {_EXPANDS} times its size")


def _unzip(archive: Path, folder: Path) -> None:
    from tqdm import tqdm

    with zipfile.ZipFile(archive) as source:
        members = [member for member in source.infolist() if _is_wanted(member.filename)]
        size = sum(member.file_size for member in members)
        _require_sane(archive, size)
        require_space(folder, size)
        for member in tqdm(members, desc="unpacking", unit=" files"):
            source.extract(member, folder)


def _untar(archive: Path, folder: Path) -> None:
    from tqdm import tqdm

    size = 0
    with tarfile.open(archive) as source:
        for member in tqdm(source, desc="unpacking", unit=" files"):
            if _is_wanted(member.name):
                size += member.size
                _require_sane(archive, size)
                source.extract(member, folder, filter="data")


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts[:1] and path.parts[0].endswith(":")):
        raise OSError(f"{name!r} leads out of the folder")
    return not any(part in JUNK for part in path.parts)
