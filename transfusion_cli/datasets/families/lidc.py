"""What data modules of LIDC-IDRI share: its scans, what readers drew, and the nodules that come of it."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.datasets.families.dicom_series import series_headers
from transfusion_cli.datasets.families.lidc_nodules import Nodule, cluster
from transfusion_cli.datasets.families.lidc_xml import Annotation, read_annotations
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LIDCScan:
    """A scan with what was drawn into it.

    Args:
        folder: of its DICOM files.
        patient: as ``LIDC-IDRI-0001``.
        series: UID.
        corner: x and y of the first pixel of each slice, mm (2,).
        nodules: by all readers.
    """

    folder: Path
    patient: str
    series: str
    corner: np.ndarray
    nodules: list[Nodule]

    def world(self, nodule: Nodule) -> np.ndarray:
        """Centre of a nodule, x, y, z in mm."""
        x, y, z = nodule.centre
        return np.array([*(self.corner + nodule.spacing[:2] * (x, y)), z])


class LIDCScans:
    """The scans of LIDC-IDRI below a folder.

    Args:
        root: holds DICOM files, a folder a series.
        drawn: holds anywhere the XML files of the scans.
    """

    def __init__(self, root: Path, drawn: Path) -> None:
        self.root, self.drawn = root, drawn

    @cached_property
    def scans(self) -> list[LIDCScan]:
        """Scans that are there with their XML file, in the order of patients.

        Raises:
            UserError: damaged files, or two XML files of one scan.
        """
        drawn: dict[str, list[Annotation]] = {}
        for path in sorted(self.drawn.rglob("*.xml")):
            if not path.name.startswith(".") and (read := read_annotations(path)) is not None:
                if read[0] in drawn and len(read[1]) != len(drawn[read[0]]):
                    raise UserError(f"Two XML files of one scan differ: {read[0]}\nThe second is {path}\nKeep one.")
                drawn[read[0]] = read[1]
        headers = [(folder, header) for folder, header in series_headers(self.root)]
        scans = [_scan(f, h, drawn[str(h.SeriesInstanceUID)]) for f, h in headers if h.SeriesInstanceUID in drawn]
        bare = len(headers) - len(scans)
        if bare:
            log.warning("%d of %d CT series in %s have no XML file, and are left out", bare, len(headers), self.root)
        if len(scans) < len(drawn):
            log.warning("%d of %d XML files are of scans that are not there", len(drawn) - len(scans), len(drawn))
        return sorted(scans, key=lambda scan: (scan.patient, scan.series))


def _scan(folder: Path, header: "Dataset", annotations: list[Annotation]) -> LIDCScan:
    try:
        if not np.allclose(header.ImageOrientationPatient, [1, 0, 0, 0, 1, 0], atol=1e-3):
            raise ValueError("its slices do not lie across the body")
        rows_apart, columns_apart = (float(value) for value in header.PixelSpacing)
        thickness = float(header.SliceThickness)
        spacing = np.array([columns_apart, rows_apart, thickness])
        corner = np.array(header.ImagePositionPatient[:2], float)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"Not a CT series of LIDC: {folder}\n{error}") from error
    nodules = cluster(annotations, spacing, thickness)
    nodules.sort(key=lambda nodule: (nodule.centre[2], nodule.centre[1], nodule.centre[0]))
    return LIDCScan(folder, str(header.PatientID), str(header.SeriesInstanceUID), corner, nodules)
