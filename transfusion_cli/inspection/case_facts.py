"""What is noted of one case: its image, and what its mask holds."""

from __future__ import annotations

import hashlib

import numpy as np

from transfusion_cli.data.masks.case import Case, CaseReader
from transfusion_cli.data.masks.images import ImageCaseReader
from transfusion_cli.inspection.image_facts import FACTS, READ, as_stored, facts_of, shows_all
from transfusion_cli.targets import IGNORE


class CaseLook:
    """Reads cases, one at a time, and keeps none.

    Args:
        labels: the greatest label that a mask may have.
    """

    chunk = 1
    """Cases that a process reads at a time: one may take as long as a thousand small images."""

    def __init__(self, labels: int) -> None:
        self.labels = labels
        self.dtype = np.dtype(
            [
                *((name, FACTS[name]) for name in FACTS.names or ()),
                ("mask", "u8"),  # digest of the mask, 0 where there is none
                ("voxels", "i8", (labels + 2,)),  # of background, each label, and what is ignored
                ("spacing", "f4", (3,)),  # in mm along z, y and x; 0 for images, which have none
                ("moved", "?"),  # as in ``Case``
            ]
        )

    def __call__(self, reader: CaseReader, row: int) -> np.ndarray:
        """Read a case and note its facts.

        Raises:
            Exception: what the reader raises.
        """
        case = reader.read(row)
        facts = np.zeros((), self.dtype)
        seen = _volume(case.image) if case.image.ndim == 4 else _picture(reader, row, case)
        for name in FACTS.names or ():
            facts[name] = seen[name]
        if case.image.ndim == 4:
            facts["spacing"] = case.spacing
        facts["moved"] = case.moved
        if case.mask is not None:
            facts["mask"] = _digest(case.truth[None])
            slices = case.truth if case.truth.ndim == 3 else case.truth[None]  # counting takes 8 bytes a voxel
            counts = sum(np.bincount(part.ravel(), minlength=IGNORE + 1) for part in slices)
            facts["voxels"] = [*counts[: self.labels + 1], counts[IGNORE]]  # type: ignore[index]
        return facts


def _picture(reader: CaseReader, row: int, case: Case) -> np.ndarray:
    pixels = case.image[0] if len(case.image) == 1 else case.image.transpose(1, 2, 0)
    stored = as_stored(reader.folder / reader.paths[row]) if isinstance(reader, ImageCaseReader) else None
    return facts_of(pixels, stored, shows_all(reader))


def _volume(image: np.ndarray) -> np.ndarray:
    """Facts of (C, D, H, W), maybe mapped from a file. No value of it is white: it is uniform or it is not."""
    varies = any(channel.min() < channel.max() for channel in image)
    return np.array((READ, _digest(image), *image.shape[1:], 8 * image.itemsize, False, float(varies), 0), FACTS)


def _digest(channels: np.ndarray) -> int:
    """Of (C, *S), slice by slice: a mapped file never is in memory as a whole."""
    digest = hashlib.sha1(f"{channels.dtype} {channels.shape}".encode(), usedforsecurity=False)
    for channel in channels:
        for part in channel:
            digest.update(np.ascontiguousarray(part).data)
    return int.from_bytes(digest.digest()[:8], "little")
