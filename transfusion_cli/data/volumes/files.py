"""Volumes in files of any format."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from transfusion_cli.data.volumes import itk, nifti
from transfusion_cli.data.volumes.volume import Volume
from transfusion_cli.errors import UserError
from transfusion_cli.files import not_written

ENDINGS = (*nifti.ENDINGS, *itk.ENDINGS)
"""Of files that hold a volume; a folder of DICOM slices is one too."""


def read_volume(path: Path) -> Volume:
    """Read a volume, in the orientation that all have here.

    Voxels of plain files are mapped, not read, so that a part of them costs no more than that part.

    Args:
        path: NIfTI, MetaImage or NRRD file, or a folder with one DICOM series.

    Raises:
        UserError: missing, damaged, of no such format, or with values that are no numbers; names the file.
    """
    try:
        path.stat()
        array, affine = _read(path)
        if array.dtype.kind == "f":
            if not (np.isfinite(array.min()) and np.isfinite(array.max())):  # NaN is the least and the largest
                raise ValueError("it holds values that are not finite")
            array = array if array.dtype == np.float32 else array.astype(np.float32)
        return Volume.of(array, affine)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(
            f"No such file: {path}\nSee that the data are whole, or leave the case out by --data.exclude."
        ) from None
    except Exception as error:  # damaged files can break a library anywhere
        said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise UserError(
            f"Cannot read the volume {path}\n{said[:200]}\nMend the file, or leave the case out by --data.exclude FILE."
        ) from error


def ending(path: Path) -> str:
    """The ending of a file with a volume; the empty string of a folder, or of anything else."""
    return next((known for known in ENDINGS if path.name.lower().endswith(known)), "")


def write_labels(volume: Volume, labels: np.ndarray, like: Path, folder: Path, name: str) -> Path:
    """Write a label map where a volume lies, in the format of its file; that of a DICOM series as NIfTI.

    Args:
        volume: what was read from ``like``.
        labels: uint8 (D, H, W).
        like: the file or folder.
        folder: where to.
        name: of the file, without its ending.

    Returns:
        The file.

    Raises:
        Fault: it cannot be written.
    """
    stored = np.ascontiguousarray(volume.orientation.undo(labels))
    kept = ending(like)
    kept = kept if kept in (*itk.ENDINGS, ".nii") else ".nii.gz"
    path = folder / f"{name}{kept}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            part = Path(beside) / path.name
            if kept in itk.ENDINGS:
                itk.write_itk(part, stored, like)
            else:
                source = like if ending(like) in nifti.ENDINGS else None
                back = volume.orientation.file_affine(volume.affine, volume.shape)
                nifti.write_nifti(part, stored, source, back)
            for file in sorted(Path(beside).iterdir(), key=lambda file: file.name == path.name):  # the header last
                os.replace(file, folder / file.name)
    except (OSError, RuntimeError) as error:  # of SimpleITK
        raise not_written(path, error if isinstance(error, OSError) else OSError(str(error))) from error
    return path


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    known = ending(path)
    if not known and not path.is_dir():
        raise ValueError(f"its ending is none of {', '.join(ENDINGS)}")
    return nifti.read_nifti(path) if known in nifti.ENDINGS else itk.read_itk(path)
