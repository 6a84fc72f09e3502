"""Random changes of volumes that belong to a class as a whole."""

from __future__ import annotations

import numpy as np

from transfusion_cli.data.transform.augmentation import Spec
from transfusion_cli.data.volumes.augmentation import VolumeAugmentation

# Radians about the first axis, which lies across the slices: they stay slices. Voxels that come into view repeat the
# border, since black would be an edge that no volume has.
_PLACEMENT = {
    "RandAffine": {
        "prob": 0.7,
        "rotate_range": [0.12, 0.0, 0.0],
        "translate_range": [2, 2, 2],
        "scale_range": [0.05, 0.05, 0.05],
        "mode": "bilinear",
        "padding_mode": "border",
    }
}
_BRIGHTNESS = [
    {"RandScaleIntensity": {"factors": 0.1, "prob": 0.5}},
    {"RandShiftIntensity": {"offsets": 0.1, "prob": 0.5}},
]
_FLIPS = [{"RandFlip": {"prob": 0.5, "spatial_axis": axis}} for axis in range(3)]

DEFAULTS: dict[str, Spec] = {
    # Bodies have sides: see ``augmentation.DEFAULTS``.
    "upright": [_PLACEMENT, *_BRIGHTNESS],
    # A nodule, a synapse or a piece of a vessel is what it is from whichever side it is seen.
    "any_side": [*_FLIPS, _PLACEMENT, *_BRIGHTNESS],
    # Shapes, black or white: there is no brightness to vary.
    "any_side_shape": [*_FLIPS, _PLACEMENT],
}


class WholeVolumeAugmentation:
    """Applies MONAI's transforms with randomness that is a function of the seed, the epoch and the sample alone.

    Args:
        spec: the transforms, as in ``data.volumes.augmentation``, which does the same for patches with masks.
        seed: of the randomness.
        size: of the volumes (D, H, W).
    """

    def __init__(self, spec: Spec, seed: int, size: tuple[int, ...]) -> None:
        self.seed, self.mask = seed, np.zeros(size, np.uint8)
        self.change = VolumeAugmentation(spec, 1, size)

    def __call__(self, volume: np.ndarray, epoch: int, row: int) -> np.ndarray:
        """Change one volume (D, H, W), uint8 or float32 in [0, 1]; shape and type stay."""
        rng = np.random.Generator(np.random.PCG64([self.seed, epoch, row]))
        is_shallow = volume.dtype == np.uint8
        values = volume.astype(np.float32) / (255 if is_shallow else 1)  # amounts mean the same for every depth
        changed = np.clip(self.change(values[None], self.mask, rng)[0][0], 0, 1)
        return np.asarray(np.rint(changed * 255).astype(np.uint8) if is_shallow else changed)
