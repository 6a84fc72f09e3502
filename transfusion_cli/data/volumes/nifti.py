"""NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.reading.limits import require_voxels

ENDINGS = (".nii.gz", ".nii", ".hdr", ".img")

_PLACE = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z", "xyzt_units"),
)
"""Fields of a header that say, beside its spacing, where a volume lies."""


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a file: what is neither compressed nor scaled is mapped, not read.

    Args:
        path: the file.

    Returns:
        Array (C, I, J, K), and affine (4, 4) to right, front and top. It is the header's sform or else its qform.

    Raises:
        ValueError: an array that is no volume.
        Exception: whatever nibabel raises for a damaged file.
    """
    import nibabel

    image: Any = nibabel.load(path)
    proxy = image.dataobj
    if proxy.dtype.kind not in "iuf":
        raise ValueError(f"its voxels are {proxy.dtype}, not numbers")
    if len(proxy.shape) == 5 and proxy.shape[3] == 1:  # of vectors, which leave a place for time
        proxy = proxy.reshape((*proxy.shape[:3], proxy.shape[4]))
    if not 2 <= len(proxy.shape) <= 4:
        raise ValueError(f"it has {len(proxy.shape)} axes")
    require_voxels(proxy.shape)
    scaled = (proxy.slope, proxy.inter) != (1, 0)
    # In float32, since float64 takes twice the memory and has nothing to say that a scanner measured.
    array = np.asarray(proxy, dtype=np.float32) if scaled else np.asanyarray(proxy)
    array = array.reshape(*array.shape[:3], *(1,) * (4 - array.ndim)) if array.ndim < 4 else array
    return np.moveaxis(array, -1, 0), np.asarray(image.affine, dtype=np.float64)


def write_nifti(path: Path, labels: np.ndarray, like: Path | None, affine: np.ndarray) -> None:
    """Write a label map.

    Args:
        path: where to.
        labels: uint8 (I, J, K).
        like: a NIfTI file whose header says where it lies, by the same fields; None for the affine alone.
        affine: (4, 4) of (i, j, k).
    """
    import nibabel

    image: Any = nibabel.Nifti1Image(labels, affine)
    if like is None:
        image.set_qform(affine, code=1)
        image.set_sform(affine, code=1)
    else:
        source: Any = nibabel.load(like).header
        for field in _PLACE:
            image.header[field] = source[field]
        image.header["pixdim"][:4] = source["pixdim"][:4]
        image = nibabel.Nifti1Image(labels, None, image.header)
    image.header.set_slope_inter(1, 0)
    nibabel.save(image, path)
