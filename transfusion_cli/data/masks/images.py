"""Reading photographs and other single images with their masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from transfusion_cli.data.masks.case import Case, CaseReader
from transfusion_cli.data.masks.mismatch import Misplaced
from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.data.reading.images import read_image
from transfusion_cli.data.reading.intensity import Window
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.targets import IGNORE

FieldFinder = Callable[[np.ndarray], np.ndarray]
"""Finds where there is something to see in an image (H, W, 3), uint8 or float32 in [0, 1]: bool (H, W). Must pickle."""

_FIELD = MaskValues(threshold=128)


class ImageCaseReader(CaseReader):
    """Reads an image, its mask and its field of view, each from a file of its own.

    Outside the field there is background to learn, and nothing counts in evaluation.

    Args:
        folder: folder that the paths start from.
        samples: the table, with ``paths`` and ``masks``, and ``fields`` where there are such files.
        values: what the values of the masks stand for.
        channels: 1 for grey, 3 for colour.
        window: centre and width for images deeper than 8 bits.
        find_field: finds the field of view of images that have no file of it; None where all can be seen.
    """

    def __init__(
        self,
        folder: Path,
        samples: SampleTable,
        values: MaskValues,
        channels: int,
        window: Window | None = None,
        find_field: FieldFinder | None = None,
    ) -> None:
        super().__init__()
        assert samples.paths is not None
        none = np.full(len(samples), "")
        self.folder, self.ids, self.paths = folder, samples.ids, samples.paths
        self.masks = none if samples.masks is None else samples.masks
        self.fields = none if samples.fields is None else samples.fields
        self.values, self.channels, self.window, self.find_field = values, channels, window, find_field

    def read(self, row: int) -> Case:
        """Read the files of a case.

        Raises:
            UserError: a file cannot be read, holds values that stand for nothing, or has another size than the image.
        """
        path = self.folder / self.paths[row]
        image = read_image(path, self.channels, self.window)
        mask = truth = None
        if self.masks[row]:
            mask = self._of_same_size(self.values, self.folder / self.masks[row], image, path)
            field = self._field(row, image, path)
            # A network that learned nothing of what lies outside would mark there what it likes.
            mask, truth = np.where(field, mask, np.uint8(0)), np.where(field, mask, np.uint8(IGNORE))
        channels_first = image[None] if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))
        return Case.plain(channels_first, mask, truth)

    def write(self, row: int, labels: np.ndarray, folder: Path) -> Path:
        """Write a mask of the image's size with the values of the data's own masks: PNG, or TIFF where they are that.

        Args:
            row: the case.
            labels: uint8 (H, W).
            folder: where to; in it the mask has the folders and the name of its image.

        Returns:
            The file.
        """
        tiff = self.masks[row].lower().endswith((".tif", ".tiff"))
        return self.values.write(labels, folder / f"{self._name(row)}{'.tif' if tiff else '.png'}")

    def _name(self, row: int) -> str:
        """Id of a case without what leads out of a folder and, unless another is called so, without its ending."""
        name = str(self.ids[row])
        stem = str(PurePosixPath(name.removesuffix(".gz")).with_suffix(""))
        if np.char.startswith(self.ids, f"{stem}.").sum() <= 1:
            name = stem
        parts = PurePosixPath(name.replace("\\", "/").replace(":", "_")).parts
        return "/".join(part for part in parts if part not in ("/", ".."))

    def _field(self, row: int, image: np.ndarray, path: Path) -> np.ndarray:
        """Where something can be seen, bool (H, W)."""
        if self.fields[row]:
            return self._of_same_size(_FIELD, self.folder / self.fields[row], image, path) > 0
        if self.find_field is None:
            return np.ones(image.shape[:2], dtype=bool)
        return self.find_field(image if image.ndim == 3 else read_image(path, 3, self.window))

    def _of_same_size(self, values: MaskValues, mask: Path, image: np.ndarray, path: Path) -> np.ndarray:
        labels = values.read(mask)
        if labels.shape != image.shape[:2]:
            (height, width), (rows, columns) = image.shape[:2], labels.shape
            raise Misplaced(
                f"The mask {mask} has {columns} x {rows} pixels\nand its image {path} has {width} x {height}\n"
                "A mask is never resized: make it anew, or leave the case out by --data.exclude FILE."
            )
        return labels
