"""MetaImage and NRRD files, and folders with the slices of one DICOM series, by SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.reading.limits import require_voxels

ENDINGS = (".mhd", ".mha", ".nrrd", ".nhdr")

RAS = np.diag([-1.0, -1.0, 1.0])
"""ITK's world runs to the left and the back."""

UNEVEN = 0.05
"""Share of the spacing by which slices of a series may lie off their places."""

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}


def read_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a file: of ``.mhd`` with plain ``.raw`` the voxels are mapped, not read.

    Args:
        path: the file, or a folder of DICOM slices.

    Returns:
        Array (C, I, J, K), and affine (4, 4) to right, front and top.

    Raises:
        ValueError: an array that is no volume, or not one series of evenly spaced slices.
        RuntimeError: whatever else SimpleITK cannot read.
    """
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    if path.is_dir():
        image = _series(path)
        return _array(image), _affine(image)
    reader = _header(path)
    array = _mapped(path, reader) if path.suffix == ".mhd" else None
    return _array(reader.Execute()) if array is None else array, _affine(reader)


def write_itk(path: Path, labels: np.ndarray, like: Path) -> None:
    """Write a label map.

    Args:
        path: where to, with the ending of its format.
        labels: uint8 (I, J, K).
        like: a file that says where it lies.
    """
    import SimpleITK

    source, image = _header(like), SimpleITK.GetImageFromArray(np.ascontiguousarray(labels.T))
    image.SetSpacing(source.GetSpacing())
    image.SetOrigin(source.GetOrigin())
    image.SetDirection(source.GetDirection())
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def _header(path: Path) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    if reader.GetDimension() != 3:
        raise ValueError(f"it has {reader.GetDimension()} axes")
    require_voxels((*reader.GetSize(), reader.GetNumberOfComponents()))
    return reader


def _array(image: Any) -> np.ndarray:
    import SimpleITK

    array = SimpleITK.GetArrayFromImage(image)  # (K, J, I), and channels where there are several
    return array.T if array.ndim == 4 else array.T[None]


def _affine(header: Any) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = RAS @ np.reshape(header.GetDirection(), (3, 3)) @ np.diag(header.GetSpacing())
    affine[:3, 3] = RAS @ header.GetOrigin()
    return affine


def _mapped(path: Path, header: Any) -> np.ndarray | None:
    """The voxels of a ``.mhd`` whose data lie in one plain file; None of any other."""
    lines = (line.partition("=") for line in path.read_text(encoding="latin-1").splitlines())
    fields = {key.strip(): value.strip() for key, _, value in lines}
    kind, name = _TYPES.get(fields.get("ElementType", "")), fields.get("ElementDataFile", "")
    plain = fields.get("CompressedData", "False") == "False" and fields.get("HeaderSize", "0") == "0"
    data = path.parent / name
    if not plain or kind is None or header.GetNumberOfComponents() > 1 or not data.is_file():
        return None  # a list of files among them: LIST, LOCAL, a pattern
    swapped = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")) == "True"
    dtype = np.dtype(kind).newbyteorder(">" if swapped else "<")
    shape = header.GetSize()[::-1]
    if data.stat().st_size < np.prod(shape, dtype=np.int64) * dtype.itemsize:
        raise ValueError(f"{name} is shorter than its header says")
    return np.memmap(data, dtype, "r", shape=shape).T[None]


def _series(folder: Path) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    series = reader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        raise ValueError(f"it holds {len(series)} DICOM series, not one")
    names = reader.GetGDCMSeriesFileNames(str(folder), series[0])
    _require_even(names)
    reader.SetFileNames(names)
    return reader.Execute()


def _require_even(names: tuple[str, ...]) -> None:
    """See that no slice is missing or there twice: SimpleITK would put the others where they do not belong.

    Raises:
        ValueError: one is.
    """
    import pydicom

    headers = [pydicom.dcmread(name, specific_tags=[_POSITION, _DIRECTIONS]) for name in names]
    if len(headers) < 2 or any(_POSITION not in header or _DIRECTIONS not in header for header in headers):
        return
    rows, columns = np.reshape([float(value) for value in headers[0].ImageOrientationPatient], (2, 3))
    positions = np.array([[float(value) for value in header.ImagePositionPatient] for header in headers])
    steps = np.diff(positions @ np.cross(rows, columns))
    if np.abs(steps - np.median(steps)).max() > UNEVEN * abs(np.median(steps)) or not np.median(steps):
        gaps = np.abs(steps)
        raise ValueError(f"its slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart: one is missing or there twice")


_POSITION, _DIRECTIONS = "ImagePositionPatient", "ImageOrientationPatient"
