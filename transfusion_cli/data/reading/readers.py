"""Where the pixels of a row of the sample table come from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from transfusion_cli.data.reading.images import read_image
from transfusion_cli.data.reading.intensity import Window
from transfusion_cli.errors import UserError


def require_readable(read: Callable[[int], object], rows: np.ndarray, threads: int | None = None) -> None:
    """Read every image, over so many threads, and count what cannot be read.

    Raises:
        UserError: how many fail, and the first of them.
    """

    def failure(row: int) -> str | None:
        try:
            read(row)
        except UserError as error:
            return ": ".join(str(error).splitlines()[:2])
        return None

    with ThreadPoolExecutor(threads) as pool:
        failures = [said for said in pool.map(failure, rows.tolist()) if said]
    if failures:
        raise UserError(f"{len(failures)} of {len(rows)} images cannot be read, for example\n{failures[0]}")


class FileReader:
    """Reads one file per row.

    Args:
        root: folder that the paths start from.
        paths: path of each row (N,).
        channels: 1 for grey, 3 for colour.
        window: centre and width for sources deeper than 8 bits.
        at_least: size below which a large JPEG need not be decoded.
        process: applied to each decoded image. It must pickle, and its ``repr`` must tell all that it does.
    """

    def __init__(
        self,
        root: Path,
        paths: np.ndarray,
        channels: int,
        window: Window | None = None,
        at_least: tuple[int, ...] | None = None,
        process: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.root, self.paths, self.channels, self.window, self.at_least = root, paths, channels, window, at_least
        self.process = process

    def __call__(self, row: int) -> np.ndarray:
        """Read the image of one row."""
        image = read_image(self.root / self.paths[row], self.channels, self.window, self.at_least)
        return image if self.process is None else self.process(image)

    def verify(self, rows: np.ndarray) -> None:
        """Decode every image, as ``require_readable`` does."""
        require_readable(self, rows)


class ArrayReader:
    """Takes images from an array in memory or mapped from disk.

    Args:
        images: (n, H, W) or (n, H, W, 3), uint8.
        first_row: row of the sample table that the first image belongs to.
        file: the file that holds the array, for a cache to see that it is still the same.
    """

    def __init__(self, images: np.ndarray, first_row: int, file: Path | None = None) -> None:
        self.images, self.first_row, self.file = images, first_row, file

    def __call__(self, row: int) -> np.ndarray:
        """Take the image of one row."""
        return np.asarray(self.images[row - self.first_row])
