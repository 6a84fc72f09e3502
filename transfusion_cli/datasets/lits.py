"""LiTS: the liver and its tumours in CT."""

import re
from dataclasses import replace
from typing import Any, Literal

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.cases import ListedCase, natural
from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.volumes.case_files import Geometry
from transfusion_cli.datasets.families.volume_cases import VolumeCasesDataModule

_NAME = re.compile(r"(?:.*/)?(test-volume|volume|segmentation)-(\d+)\.nii(\.gz)?")

_BY_NUMBER = {"train": range(100), "val": range(100, 115), "test": range(115, 130)}


class LiTSDataModule(VolumeCasesDataModule, ImageFilesDataModule):
    """LiTS: contrast-enhanced abdominal CT of seven hospitals with liver and liver tumours.

    Source: https://competitions.codalab.org/competitions/17094 (Training Batch 1 and 2, after registration)
    Licence: CC BY-NC-ND 4.0
    Layout: volume-N.nii and segmentation-N.nii, or .nii.gz, in "Training Batch 1" and "Training Batch 2"
    Group: case, one a patient
    Classes: liver, tumour
    Counts: 131 cases with masks, 70 for the test without
    Cite: Bilic et al. 2023, doi:10.1016/j.media.2022.102680

    Masks belong to volumes by number, in whatever folders below ``root`` they lie. Some masks have a header that does
    not say where they are: where a mask has as many voxels as its volume, it lies where that does, and the log counts
    those. The challenge measures the liver with its tumours:
    ``--data.labels '{liver: [1, 2], tumour: [2]}'`` makes regions of them.

    Task03 of the Medical Segmentation Decathlon has the same cases, and 28 to 47 are 3D-IRCADb-01: never train on one
    and test on another of these.

    Args:
        protocol: ``drawn``: test and validation cases are drawn; ``by_number``: 0 to 99 for training, 100 to 114 for
            validation, 115 to 129 for the test, as the authors of AC-Norm split these data in their code for
            self-supervised pretraining.
        geometry: as for ``VolumeDataModule``.
        kwargs: as for ``VolumeCasesDataModule``.
    """

    landmarks = ("Training Batch 1", "Training_Batch1", "Training Batch 2", "Training_Batch2", "volume-*.nii*")

    def __init__(
        self, protocol: Literal["drawn", "by_number"] = "drawn", geometry: Geometry = "image", **kwargs: Any
    ) -> None:
        super().__init__(geometry=geometry, **kwargs)
        self.protocol = protocol

    @property
    def published(self) -> dict[str, int]:
        """Of the training batches; the split by number leaves 130 out."""
        return {"train+val+test": 131 if self.protocol == "drawn" else 130}

    @property
    def named(self) -> MaskLabels:
        """Of the challenge."""
        return MaskLabels(["liver", "tumour"], {0: 0, 1: 1, 2: 2})

    @property
    def channels(self) -> list[str]:
        """One."""
        return ["CT"]

    @property
    def cases(self) -> list[ListedCase]:
        """Volumes with their masks, in the order of their numbers, then those of the test.

        Raises:
            UserError: there is no volume for training, or a number has two.
        """
        files = image_files(self.folder, (".nii", ".gz"))
        found = [(match[1], int(match[2]), file) for file in files if (match := _NAME.fullmatch(file))]
        masks = {number: file for kind, number, file in found if kind == "segmentation"}
        volumes = sorted((number, file) for kind, number, file in found if kind == "volume")
        if not volumes:
            raise self.absent(f"no volume-N.nii in {self.folder}")
        cases = [_case(f"volume-{number}", file, masks.get(number, "")) for number, file in volumes]
        if self.protocol == "by_number":
            split = {f"volume-{number}": part for part, numbers in _BY_NUMBER.items() for number in numbers}
            cases = [replace(case, split=split.get(case.name, "")) for case in cases]
        for kind, number, file in sorted(found, key=lambda entry: natural(entry[2])):
            if kind == "test-volume":
                cases.append(replace(_case(f"test-volume-{number}", file, ""), split="predict"))
        return cases


def _case(name: str, file: str, mask: str) -> ListedCase:
    return ListedCase(name, (file,), mask, patient=name)
