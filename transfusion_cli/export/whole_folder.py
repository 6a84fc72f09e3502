"""A folder that appears whole under its name or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transfusion_cli.files import not_written


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Fill a folder beside its place, which takes its name at the end.

    Args:
        path: where it shall be, and nothing is yet.

    Yields:
        The folder to fill. It goes away if the block fails, and the one above with it where that was made for it.

    Raises:
        Fault: it cannot be written.
    """
    partial, above = path.with_name(f".{path.name}.partial"), path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(partial)
        partial.mkdir()
        yield partial
        for file in partial.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        os.rename(partial, path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        _clear(partial)
        if not above and not path.exists():
            with suppress(OSError):  # somebody else uses it by now
                path.parent.rmdir()


def _clear(partial: Path) -> None:
    if partial.is_symlink():
        partial.unlink()
    elif partial.exists():
        shutil.rmtree(partial)
