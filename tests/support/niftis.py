"""Tiny NIfTI volumes with masks: a bright ball with a brighter core in noise."""

from pathlib import Path

import nibabel
import numpy as np

SHAPE = (20, 18, 12)
"""Voxels along x, y and z."""

AFFINE = np.diag([1.5, 1.5, 3.0, 1.0])


def ball(seed: int, shape: tuple[int, int, int] = SHAPE, empty: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Image int16 and mask uint8, both (X, Y, Z): 1 for the ball, 2 for its core; with ``empty`` there is none."""
    rng = np.random.default_rng(seed)
    place = [rng.uniform(0.4, 0.6) * side for side in shape]
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    radius = np.sqrt(sum(((axis - at) / (0.32 * side)) ** 2 for axis, at, side in zip(grid, place, shape, strict=True)))
    mask = (radius < 1).astype(np.uint8) + (radius < 0.5)
    mask = np.zeros_like(mask) if empty else mask
    return (rng.normal(-100, 20, shape) + 80 * mask).astype(np.int16), mask.astype(np.uint8)


def flipped(affine: np.ndarray = AFFINE, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """The affine of the same places for an array whose first axis runs the other way."""
    turn = np.diag([-1.0, 1.0, 1.0, 1.0])
    turn[0, 3] = shape[0] - 1
    return affine @ turn


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, slope: float = 1, inter: float = 0) -> Path:
    """Write an array (X, Y, Z) or (X, Y, Z, C), with a scale of its values in the header if asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_slope_inter(slope, inter)
    nibabel.save(image, path)
    return path


def save_case(image: Path, mask: Path, seed: int, affine: np.ndarray = AFFINE, empty: bool = False) -> None:
    """Write a ball and its mask."""
    values, labels = ball(seed, empty=empty)
    save_nifti(image, values, affine)
    save_nifti(mask, labels, affine)


def leave_behind(folder: Path, *names: str) -> None:
    """Write what a Mac leaves beside each file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".DS_Store").write_bytes(b"\0")
    for name in names:
        (folder / f"._{name}").write_bytes(b"\0\5\x16\7")
