"""LIDC-IDRI: how malignant lung nodules look, as a classification of cubes."""

from functools import cached_property
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.ranges import Ranges, check_test_fraction
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.datasets.families.cubes import CubeReader
from transfusion_cli.datasets.families.dicom_series import DicomSeries
from transfusion_cli.datasets.families.lidc import LIDCScan, LIDCScans
from transfusion_cli.datasets.families.lidc_nodules import Nodule, Rule
from transfusion_cli.targets import Target


class LIDCDataModule(ImageFilesDataModule):
    """LIDC-IDRI: does a lung nodule look malignant to radiologists? Cubes of CT around nodules of 3 mm and more.

    Source: https://www.cancerimagingarchive.net/collection/lidc-idri/ (images, and "Radiologist Annotations", XML)
    Licence: CC BY 3.0
    Layout: LIDC-IDRI-0001/*/*/*.dcm and so on, and the XML files beside the images or in a folder of their own
    Group: patient, from the DICOM files
    Classes: benign, malignant, by the readers' ratings; no biopsies
    Counts: 1,018 scans of 1,010 patients; nodules by rule and readers, see below
    Cite: Armato et al. 2011, doi:10.1118/1.3528204

    Up to four readers rated each nodule from 1 to 5. How ratings become classes moves the number of malignant nodules
    from 387 to 645 (``rule``, ``min_readers``), so say which with every result. Annotations are put together as pylidc
    does. Malignancy follows size: a test says beside the network's AUROC that of the diameter alone. There are no
    official splits: patients are drawn for the test. LUNA16 and nodulemnist3d are the same scans.

    Args:
        rule: what ratings make a nodule malignant: ``median`` above 3, ``mean`` above 3 (at 3 it is left out), or
            ``mean_wide`` from 3.5 (left out between 2.5 and 3.5).
        min_readers: nodules that fewer readers marked are left out.
        test_fraction: share of the patients for the test.
        cube: side of a cube in mm.
        voxel: side of a voxel in mm.
        window: Hounsfield units shown as black and white.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = ("LIDC-IDRI-[0-9]*",)
    target: Target = "binary"
    class_names = ["benign", "malignant"]
    in_chans = 1
    dims = 3
    default_augmentation = "any_side"

    def __init__(
        self,
        rule: Rule = "median",
        min_readers: Literal[1, 2, 3, 4] = 3,
        test_fraction: float = 0.2,
        cube: float = 48.0,
        voxel: float = 1.0,
        window: tuple[float, float] = (-1000.0, 600.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        ranges = Ranges()
        ranges.cubes(cube, voxel, window)
        ranges.settle()
        check_test_fraction(test_fraction)
        self.rule, self.min_readers, self.test_fraction = rule, min_readers, test_fraction
        self.side, self.voxel, self.window = round(cube / voxel), float(voxel), (float(window[0]), float(window[1]))

    @property
    def own_size(self) -> tuple[int, ...]:
        """That of the cubes."""
        return (self.side,) * 3

    @cached_property
    def _source(self) -> LIDCScans:
        return LIDCScans(self.folder, self.root or self.folder)

    @property
    def _nodules(self) -> list[tuple[int, LIDCScan, Nodule]]:
        return [(i, scan, nodule) for i, scan in enumerate(self._source.scans) for nodule in scan.nodules]

    @cached_property
    def _used(self) -> np.ndarray:
        """Which of all nodules the options take."""
        return np.array(
            [n.readers >= self.min_readers and n.malignant(self.rule) is not None for _, _, n in self._nodules], bool
        )

    def load_samples(self) -> SampleTable:
        """A row a nodule, those that the options leave out unused."""
        nodules = self._nodules
        if not nodules:
            raise self.absent(f"no nodules in {self.folder}: it takes CT series and their XML files")
        places = [scan.nodules.index(nodule) for _, scan, nodule in nodules]
        labels = [nodule.malignant(self.rule) for _, _, nodule in nodules]
        ratings = [[a.malignancy for a in nodule.annotations] for _, _, nodule in nodules]
        table = SampleTable(
            ids=as_text(f"{s.patient}_{s.series[-6:]}_{k}" for (_, s, _), k in zip(nodules, places, strict=True)),
            targets=np.array([np.nan if label is None else label for label in labels], np.float32)[:, None],
            split=np.full(len(nodules), "train"),
            patients=as_text(scan.patient for _, scan, _ in nodules),
            source_labels=np.array([[np.mean(some) > 3, np.mean(some) < 3] for some in ratings]),
            unused=~self._used,
        )
        self.hold_out_missing(table, self.test_fraction)
        return table

    def sizes(self, rows: np.ndarray) -> np.ndarray:
        """Diameters in mm."""
        used = [nodule for (_, _, nodule), is_used in zip(self._nodules, self._used, strict=True) if is_used]
        return np.array([used[row].diameter for row in rows.tolist()])

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> CubeReader:
        """Cut cubes out of the slices that they take."""
        used = [place for place, is_used in zip(self._nodules, self._used, strict=True) if is_used]
        centres = np.array([scan.world(nodule) for _, scan, nodule in used])
        paths, numbers = [scan.folder for scan in self._source.scans], np.array([number for number, _, _ in used])
        return CubeReader(DicomSeries, paths, numbers, centres, self.side, self.voxel, self.window)
