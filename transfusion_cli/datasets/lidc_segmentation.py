"""LIDC-IDRI: lung nodules and what is inside, as a segmentation of crops."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.case import Case, CaseReader, cut
from transfusion_cli.data.masks.patches import Augment
from transfusion_cli.data.ranges import Ranges, check_test_fraction
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.data.transform.volumes import DEFAULTS
from transfusion_cli.data.volumes.augmentation import VolumeAugmentation
from transfusion_cli.data.volumes.nifti import write_nifti
from transfusion_cli.datasets.families.cubes import AIR
from transfusion_cli.datasets.families.dicom_series import DicomSeries
from transfusion_cli.datasets.families.lidc import LIDCScan, LIDCScans
from transfusion_cli.datasets.families.lidc_nodules import Nodule
from transfusion_cli.targets import IGNORE


class LIDCSegmentationDataModule(MaskDataModule, ImageFilesDataModule):
    """LIDC-IDRI: the voxels of lung nodules of 3 mm and more, in crops of CT around them.

    Source: https://www.cancerimagingarchive.net/collection/lidc-idri/ (images, and "Radiologist Annotations", XML)
    Licence: CC BY 3.0
    Layout: LIDC-IDRI-0001/*/*/*.dcm and so on, and the XML files beside the images or in a folder of their own
    Group: patient, from the DICOM files
    Classes: nodule
    Counts: 2,651 nodules: marked by 1, 2, 3, 4 readers 771, 488, 481, 897
    Cite: Armato et al. 2011, doi:10.1118/1.3528204

    A case is a nodule in the voxels of its scan, with what else of them lies in the crop. A voxel is nodule where a
    share of the readers who marked the nodule include it (``consensus``); of two readers half is their union. What
    fewer readers marked counts in no loss and no metric. LIDC's outlines run outside of nodules, and are not part of
    them.

    Args:
        min_readers: nodules that fewer readers marked are no cases, and ignored in those of others.
        consensus: least share of a nodule's readers who include a voxel.
        crop: voxels of a case in z, y, x.
        window: Hounsfield units that become 0 and 1.
        test_fraction: share of the patients for the test.
        patches_per_case: as for ``MaskDataModule``, but 1: by default a patch is the whole crop.
        kwargs: as for ``MaskDataModule``.
    """

    landmarks = ("LIDC-IDRI-[0-9]*",)
    class_names = ["nodule"]
    in_chans = 1
    dims = 3

    def __init__(
        self,
        min_readers: Literal[1, 2, 3, 4] = 3,
        consensus: float = 0.5,
        crop: tuple[int, int, int] = (32, 64, 64),
        window: tuple[float, float] = (-1000.0, 1000.0),
        test_fraction: float = 0.2,
        patches_per_case: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(patches_per_case=patches_per_case, **kwargs)
        ranges = Ranges()
        ranges.share("consensus", consensus, ends=(1,))
        ranges.sides("crop", tuple(crop), 3)
        ranges.cubes(1, 1, window)
        ranges.settle()
        check_test_fraction(test_fraction)
        self.min_readers, self.consensus, self.test_fraction = min_readers, consensus, test_fraction
        self.crop, self.window = (crop[0], crop[1], crop[2]), (float(window[0]), float(window[1]))

    @property
    def default_patch(self) -> tuple[int, ...]:  # type: ignore[override]
        """A whole crop."""
        return self.crop

    @cached_property
    def _nodules(self) -> list[tuple[LIDCScan, Nodule]]:
        scans = LIDCScans(self.folder, self.root or self.folder).scans
        return [(scan, nodule) for scan in scans for nodule in scan.nodules]

    def load_samples(self) -> SampleTable:
        """A row a nodule, those of too few readers unused."""
        if not self._nodules:
            raise self.absent(f"no nodules in {self.folder}: it takes CT series and their XML files")
        names = [f"{scan.patient}_{scan.series[-6:]}_{scan.nodules.index(nodule)}" for scan, nodule in self._nodules]
        table = SampleTable(
            ids=as_text(names),
            targets=np.zeros((len(names), 0), np.float32),
            split=np.full(len(names), "train"),
            patients=as_text(scan.patient for scan, _ in self._nodules),
            unused=np.array([nodule.readers < self.min_readers for _, nodule in self._nodules], bool),
            masks=as_text(str(scan.folder.relative_to(self.folder)) for scan, _ in self._nodules),
        )
        self.hold_out_missing(table, self.test_fraction)
        return table

    def case_reader(self, split: Split) -> "NoduleReader":
        """What cuts nodules out of the slices that they take."""
        used = [(scan, nodule) for scan, nodule in self._nodules if nodule.readers >= self.min_readers]
        return NoduleReader(used, self.samples.ids, self.min_readers, self.consensus, self.crop, self.window)

    def make_augment(self) -> Augment | None:
        """Random changes by MONAI; by default those of things that have no side."""
        spec: Any = DEFAULTS["any_side"] if self.augmentation_spec == "default" else self.augmentation_spec
        return VolumeAugmentation(spec, 1, self.size) if spec else None


class NoduleReader(CaseReader):
    """Reads a crop around each nodule of a list, float32 from 0 to 1.

    Args:
        nodules: the cases, each with its scan.
        names: of the cases.
        min_readers: what fewer marked is ignored.
        consensus: share of the readers of a nodule.
        crop: voxels in z, y, x.
        window: Hounsfield units that become 0 and 1.
    """

    def __init__(
        self,
        nodules: list[tuple[LIDCScan, Nodule]],
        names: np.ndarray,
        min_readers: int,
        consensus: float,
        crop: tuple[int, int, int],
        window: tuple[float, float],
    ) -> None:
        super().__init__()
        self.nodules, self.names, self.min_readers = nodules, names, min_readers
        self.consensus, self.crop, self.window = consensus, crop, window

    def read(self, row: int) -> Case:
        """Read a case from the slices that it takes."""
        scan, _ = self.nodules[row]
        series, start = self._placed(row)
        stop = np.minimum(start + self.crop, series.grid.shape)
        begin = np.maximum(start, 0)
        block = series.block(begin, stop)[None].astype(np.float32)
        low, high = self.window
        around: tuple[int, ...] = tuple((start - begin).tolist())
        values = cut(block, around, self.crop, AIR)
        image = ((np.clip(values, low, high) - low) / (high - low)).astype(np.float32)
        z = series.grid.origin[2] + series.step * np.arange(start[0], start[0] + self.crop[0])
        mask = np.zeros(self.crop, np.uint8)
        corner, size = (int(start[1]), int(start[2])), (self.crop[1], self.crop[2])
        # What several nodules claim goes to the one that more readers marked.
        for nodule in sorted(scan.nodules, key=lambda nodule: nodule.readers):
            share = nodule.agreement(z, corner, size)
            if nodule.readers < self.min_readers:
                mask[share > 0] = IGNORE
            else:
                mask[share >= self.consensus] = 1
        spacing = np.linalg.norm(series.grid.matrix, axis=0)[::-1]
        box = np.column_stack([np.zeros(3, np.int64), np.array(self.crop)])
        return Case(image, mask, mask, box, np.ascontiguousarray(spacing))

    def write(self, row: int, labels: np.ndarray, folder: Path) -> Path:
        """Write a mask as NIfTI, where the crop lies in the patient."""
        series, start = self._placed(row)
        grid, path = series.grid, folder / f"{self.names[row]}.nii.gz"
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = grid.matrix, grid.origin + grid.matrix @ start[::-1]
        affine[:2] *= -1  # from left and back to right and front
        write_nifti(path, labels.transpose(2, 1, 0), None, affine)
        return path

    def _placed(self, row: int) -> tuple[DicomSeries, np.ndarray]:
        """The scan of a case, and its first voxel in z, y, x."""
        scan, nodule = self.nodules[row]
        series = DicomSeries(scan.folder)
        centre = np.rint(series.grid.index(scan.world(nodule))).astype(int)[::-1]
        return series, centre - np.array(self.crop) // 2
