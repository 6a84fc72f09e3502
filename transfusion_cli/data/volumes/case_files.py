"""The files of cases: images whose channels may be files of their own, and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from transfusion_cli.data.masks.mismatch import Misplaced, UnknownValue
from transfusion_cli.data.volumes.files import ending, read_volume, write_labels
from transfusion_cli.data.volumes.volume import Volume
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

Geometry = Literal["agree", "image"]
"""What is to be where a mask lies elsewhere than its image: an error, or the image's place is the mask's."""

ROUNDING = 1e-3
"""How far a label may lie from an integer: label maps stored with a scale read 0.99999997 for 1."""

_NO_LABEL = 254


class CaseFiles:
    """Reads images and masks by row of the sample table, and writes masks; pickles.

    Args:
        root: folder that paths start from.
        ids: of the cases (N,).
        images: files of each image (N, F), of which those left empty do not count: a file may hold several channels.
        masks: file of each mask, or the empty string (N,); None where no case has one.
        channels: that an image must have.
        labels: the class, 0 for background, or ``IGNORE``, that each number in a mask file stands for.
        geometry: ``agree`` if masks must lie where their images do; ``image`` where masks have headers that cannot be
            relied on: one of as many voxels then takes the place of its image.
    """

    def __init__(
        self,
        root: Path,
        ids: np.ndarray,
        images: np.ndarray,
        masks: np.ndarray | None,
        channels: int,
        labels: dict[int, int],
        geometry: Geometry = "agree",
    ) -> None:
        self.root, self.ids, self.images, self.masks = root, ids, images, masks
        self.channels, self.labels, self.geometry = channels, labels, geometry
        numbers = [*labels, 0]
        self._first = min(numbers)
        self._classes = np.full(max(numbers) - self._first + 1, _NO_LABEL, np.uint8)
        for number, label in labels.items():
            self._classes[number - self._first] = label

    def image_paths(self, row: int) -> list[Path]:
        """Files of an image."""
        return [self.root / name for name in self.images[row] if name]

    def mask_path(self, row: int) -> Path | None:
        """File of a mask; None where there is none."""
        return self.root / self.masks[row] if self.masks is not None and self.masks[row] else None

    def paths(self, row: int) -> list[Path]:
        """All files of a case."""
        mask = self.mask_path(row)
        return [*self.image_paths(row), *([] if mask is None else [mask])]

    def image(self, row: int) -> Volume:
        """Read an image with all its channels.

        Raises:
            UserError: a file cannot be read, or they do not belong together; names it.
        """
        first, *others = paths = self.image_paths(row)
        volume = read_volume(first)
        if others:
            volumes = [volume, *(read_volume(path) for path in others)]
            for path, other in zip(others, volumes[1:], strict=True):
                if differs := other.differs_from(volume):
                    raise _apart("Two channels of a case", path, first, differs, "")
            array = np.concatenate([one.array for one in volumes])
            volume = Volume(array, volume.affine, volume.orientation)
        if len(volume.array) != self.channels:
            raise UserError(
                f"Images have {len(volume.array)} channel(s), and these data {self.channels}: {paths[0]}\n"
                "See that every case has the same ones, or leave it out by --data.exclude FILE."
            )
        return volume

    def mask(self, row: int, image: Volume) -> tuple[np.ndarray | None, bool]:
        """Read a mask.

        Args:
            row: the case.
            image: its image.

        Returns:
            uint8 (D, H, W) by class, None where there is no file; and whether it was moved to where the image lies.

        Raises:
            UserError: it cannot be read, holds other numbers than labels, or lies elsewhere than the image.
        """
        path = self.mask_path(row)
        if path is None:
            return None, False
        volume, moved = read_volume(path), False
        if differs := volume.differs_from(image):
            placed = volume.at_place_of(image) if self.geometry == "image" else None
            if placed is None:
                raise _apart("Mask and image", path, self.image_paths(row)[0], differs, self._advice(volume, image))
            volume, moved = placed, True
        if len(volume.array) != 1:
            raise UserError(f"{path} has {len(volume.array)} channels\nA mask has one, whose numbers are the labels.")
        mask = np.empty(volume.shape, np.uint8)
        for here, values in zip(mask, volume.array[0], strict=True):
            here[...] = self._label(values, path)
        return mask, moved

    def write(self, row: int, labels: np.ndarray, folder: Path) -> Path:
        """Write a mask where the image of a case lies, in the format of its file, by the numbers of the mask files.

        Args:
            row: the case.
            labels: uint8 (D, H, W) by class.
            folder: where to.

        Raises:
            UserError: the image cannot be read.
            Fault: the mask cannot be written.
        """
        numbers = np.arange(256, dtype=np.uint8)
        for number, label in sorted(self.labels.items(), reverse=True):  # of several the least
            if label != IGNORE and 0 <= number <= 255:
                numbers[label] = number
        like = self.image_paths(row)[0]
        name = str(self.ids[row])
        name = name.removesuffix(ending(Path(name))).replace("/", "_").replace("\\", "_")
        return write_labels(read_volume(like), numbers[labels], like, folder, name)

    def _label(self, values: np.ndarray, path: Path) -> np.ndarray:
        if values.dtype.kind == "f":
            rounded = np.rint(values)
            if np.abs(values - rounded).max(initial=0) > ROUNDING:
                raise self._no_label(path, values[np.abs(values - rounded) > ROUNDING][0])
            values = rounded
        inside = (values >= self._first) & (values < self._first + len(self._classes))
        if not inside.all():
            raise self._no_label(path, values[~inside][0])
        mask = self._classes[values.astype(np.int64) - self._first]
        if (mask == _NO_LABEL).any():
            raise self._no_label(path, values[mask == _NO_LABEL][0])
        return np.asarray(mask)

    def _no_label(self, path: Path, value: float) -> UnknownValue:
        known = ", ".join(str(number) for number in sorted(self.labels))
        return UnknownValue(
            f"A mask holds {value:g}, which is no label: {path}\nThe labels of these data are {known}\n"
            "Mend the mask or the labels, or leave the case out by --data.exclude FILE."
        )

    def _advice(self, mask: Volume, image: Volume) -> str:
        fits = mask.at_place_of(image) is not None
        return "If the image is right, type --data.geometry image, or " if fits else ""


def _apart(what: str, first: Path, second: Path, differs: str, advice: str) -> Misplaced:
    leave = "leave the case out by --data.exclude FILE."
    return Misplaced(
        f"{what} do not lie at the same place: {differs}\n{first} and {second}\n"
        f"{advice}{leave if advice else leave.capitalize()}"
    )
