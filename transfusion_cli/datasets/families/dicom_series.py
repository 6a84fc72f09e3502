"""CT series as folders of DICOM files, a file a slice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.reading.dicom import read_header
from transfusion_cli.data.reading.limits import require_size
from transfusion_cli.datasets.families.cubes import AIR, Grid
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset


def series_headers(root: Path) -> list[tuple[Path, Dataset]]:
    """Folders below ``root`` that hold a CT series, each with the header of its first file, in the order of paths."""
    found = []
    for folder, folders, files in os.walk(root):
        folders.sort()
        slices = dicom_files(files)
        if slices:
            header = _header(Path(folder) / slices[0])
            if header.get("Modality") == "CT":
                found.append((Path(folder), header))
    return found


def dicom_files(names: list[str]) -> list[str]:
    """Those of some file names that are slices, in order."""
    return sorted(name for name in names if name.lower().endswith(".dcm") and not name.startswith("."))


def _header(path: Path) -> Dataset:
    try:
        return read_header(path, stop_before_pixels=True)
    except Exception as error:  # a damaged file can break pydicom anywhere
        raise UserError(f"Cannot read the DICOM file {path}\n{error}\nGet it again.") from error


class DicomSeries:
    """A CT series whose slices are read when they are needed.

    Slices are ordered by their place along the normal. Of two at one place the first file counts; where slices are
    missing, the nearest that is there stands for them.

    Args:
        folder: of its files, which may be of no other series.

    Raises:
        UserError: no CT series.
    """

    def __init__(self, folder: Path) -> None:
        headers = [(folder / name, _header(folder / name)) for name in dicom_files(os.listdir(folder))]
        try:
            first = headers[0][1]
            along, down = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
            normal = np.cross(along, down)
            places = np.array([float(normal @ np.array(h.ImagePositionPatient, float)) for _, h in headers])
            self.places, chosen = np.unique(places.round(3), return_index=True)
            self.files = [headers[i][0] for i in chosen]
            thickness = float(first.get("SliceThickness") or 1.0)
            self.step = float(np.median(np.diff(self.places))) if len(chosen) > 1 else thickness
            # The second number is the distance of columns.
            rows_apart, columns_apart = (float(value) for value in first.PixelSpacing)
            matrix = np.column_stack([along * columns_apart, down * rows_apart, normal * self.step])
            count = round((self.places[-1] - self.places[0]) / self.step) + 1
            shape = (count, int(first.Rows), int(first.Columns))
            origin = np.array(headers[int(chosen[0])][1].ImagePositionPatient, float)
            require_size(shape[1], shape[2], 2)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise UserError(f"Not a CT series of DICOM files: {folder}\n{error}") from error
        self.grid, self.normal = Grid(origin, matrix, shape), normal

    def block(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Hounsfield units of the voxels from ``start`` to before ``stop``, in z, y, x: int16 or float32."""
        wanted = self.places[0] + self.step * np.arange(start[0], stop[0])
        nearest = np.abs(self.places - wanted[:, None]).argmin(axis=1)
        slices = {int(i): self._slice(int(i)) for i in np.unique(nearest)}
        return np.stack([slices[int(i)][start[1] : stop[1], start[2] : stop[2]] for i in nearest])

    def _slice(self, number: int) -> np.ndarray:
        from pydicom.pixels.processing import apply_modality_lut
        from pydicom.pixels.utils import pixel_array

        path = self.files[number]
        try:
            header = read_header(path)
            values = apply_modality_lut(pixel_array(header), header)
        except Exception as error:  # a damaged file can break pydicom anywhere
            raise UserError(f"Cannot read the DICOM file {path}\n{error}\nGet it again.") from error
        if values.shape != self.grid.shape[1:]:
            raise UserError(
                f"A slice of another size than its series: {path}\n{values.shape}, not {self.grid.shape[1:]}"
            )
        # What scanners put outside of their round field lies far below air.
        return np.asarray(np.maximum(values, AIR - 24), np.float32)
