"""Random changes of images and their masks together."""

from __future__ import annotations

from typing import Any

import numpy as np

from transfusion_cli.data.transform.augmentation import Augmentation, Spec
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

_LABEL = 7
"""A label that no mixture of others is."""


class MaskAugmentation(Augmentation):
    """Applies albumentations transforms to image and mask; a mask takes its nearest pixel, never a mixture of labels.

    All randomness comes from the generator that each call is given.

    Args:
        spec: the transforms, as in ``build_transforms``.
        channels: 1 for grey images, 3 for colour.

    Raises:
        UserError: as ``Augmentation``, or a transform that mixes labels.
    """

    def __init__(self, spec: Spec, channels: int) -> None:
        super().__init__(spec, 0, channels)
        _keep_labels(self.compose)

    def blank(self) -> dict[str, np.ndarray]:
        """An image, and a mask with an edge."""
        mask = np.zeros((32, 32), np.uint8)
        mask[:, 13:] = _LABEL
        return super().blank() | {"mask": mask}

    def __call__(  # type: ignore[override]
        self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change a patch: image (C, H, W), uint8 or float32 in [0, 1], and mask uint8 (H, W); shapes and types stay."""
        changed = self.change(rng, image[0] if len(image) == 1 else image.transpose(1, 2, 0), mask=mask)
        pixels = changed["image"]
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), changed["mask"]

    def _try(self, name: str, transform: Any) -> None:
        _keep_labels(transform)
        super()._try(name, transform)
        found = np.unique(transform(**self.blank())["mask"])
        if not np.isin(found, (0, _LABEL, IGNORE)).all():
            raise UserError(f"augmentation: {name} mixes the labels of a mask\nUse a transform that moves pixels.")


def _keep_labels(transform: Any) -> None:
    """Have a transform, and those within it, take the nearest label, and ``IGNORE`` for what lies beyond the patch."""
    import cv2

    for inner in getattr(transform, "transforms", ()):
        _keep_labels(inner)
    if hasattr(transform, "mask_interpolation"):
        transform.mask_interpolation = cv2.INTER_NEAREST
    if getattr(transform, "fill_mask", None) is not None:  # None leaves a mask as it is, where pixels are dropped
        transform.fill_mask = IGNORE
