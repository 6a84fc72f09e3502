"""What is made of volumes before a network sees them, as plain data that a run keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from transfusion_cli.data.masks.case import Case
from transfusion_cli.data.volumes.geometry import (
    Crop,
    coarse_axis,
    crop_box,
    resample,
    resample_labels,
    resampled_shape,
)
from transfusion_cli.data.volumes.intensity import MIDDLE, Intensity, standardised
from transfusion_cli.data.volumes.volume import Volume
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Preprocessing:
    """Crop, intensities, spacing, in this order.

    Args:
        spacing: millimetres from voxel to voxel (z, y, x) of the network's grid; None leaves each case its own.
        crop: what is kept of an image.
        intensity: rule of each channel; None stands for the z-score of each image, by mean and standard deviation of
            what is not zero, brought to the mean 0.5 and the standard deviation 0.25 that pretrained weights expect.
        patch_size: sides of a patch that suits the data; None where a patch is asked for.
    """

    spacing: tuple[float, ...] | None
    crop: Crop | None
    intensity: tuple[Intensity | None, ...]
    patch_size: tuple[int, ...] | None = None

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Preprocessing:
        """Of what ``to_dict`` gave.

        Raises:
            UserError: something else.
        """
        try:
            if set(plain) != {field.name for field in fields(cls)}:
                raise ValueError("other keys")
            rules = tuple(None if rule is None else Intensity(**rule) for rule in plain["intensity"])
            spacing, patch = plain["spacing"], plain["patch_size"]
            return cls(
                None if spacing is None else tuple(float(step) for step in spacing),
                plain["crop"],
                rules,
                None if patch is None else tuple(int(side) for side in patch),
            )
        except (TypeError, ValueError, KeyError) as error:
            raise UserError(f"This is no preprocessing of volumes: {plain!r:.200}\n{error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON and YAML."""
        plain = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @property
    def background(self) -> float:
        """What an image is surrounded by: the least value where that is known, else the mean."""
        first = self.intensity[0]
        return MIDDLE if first is None else float(np.float16(first.least))

    def apply(self, image: Volume, mask: np.ndarray | None) -> Case:
        """Make of an image and its mask what a network sees.

        Values are rounded to float16: half the memory on disk, and finer than any scanner measures.

        Args:
            image: C channels.
            mask: uint8 (*S0), or None.

        Returns:
            The case, its image float16.
        """
        box = crop_box(image.array, self.crop)
        part = tuple(slice(begin, end) for begin, end in box)
        shape = self._shape(box, image.spacing)
        coarse = None if self.spacing is None else coarse_axis(image.spacing, np.array(self.spacing))
        made = np.empty((len(image.array), *shape), np.float16)
        for here, there, rule in zip(made, image.array, self.intensity, strict=True):  # one by one, to save memory
            values = np.array(there[part], dtype=np.float32)
            values = standardised(values) if rule is None else rule.apply(values)
            here[...] = resample(values, shape, coarse).clip(-_LARGEST, _LARGEST)
        placed = None if mask is None else np.ascontiguousarray(resample_labels(mask[part], shape))
        truth = np.full(image.shape, IGNORE, np.uint8) if mask is None else mask
        return Case(made, placed, truth, box, image.spacing)

    def _shape(self, box: np.ndarray, spacing: np.ndarray) -> tuple[int, ...]:
        sides = tuple(int(side) for side in box[:, 1] - box[:, 0])
        return sides if self.spacing is None else resampled_shape(sides, spacing, np.array(self.spacing))
