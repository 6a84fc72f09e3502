"""The Medical Segmentation Decathlon: ten tasks in CT and MR volumes."""

from functools import cached_property
from pathlib import Path
from typing import Any

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.cases import ListedCase, natural
from transfusion_cli.data.layout.decathlon import find_task, task_cases
from transfusion_cli.data.layout.json_file import read_json
from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.datasets.families.volume_cases import VolumeCasesDataModule
from transfusion_cli.errors import UserError


class MSDDataModule(VolumeCasesDataModule, ImageFilesDataModule):
    """Medical Segmentation Decathlon: any of its tasks, with the classes that its ``dataset.json`` names.

    Source: http://medicaldecathlon.com (Task01_BrainTumour.tar to Task10_Colon.tar)
    Licence: CC BY-SA 4.0
    Layout: TaskNN_NAME/dataset.json and TaskNN_NAME/{imagesTr,labelsTr,imagesTs}/*.nii.gz
    Group: case, one a patient; the masks of imagesTs were never published, so cases of imagesTr are held out
    Classes: those of the task
    Counts: for example 41 cases with masks of Task09_Spleen, 131 of Task03_Liver
    Cite: Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9

    Several sequences of a case lie in one file, along its fourth axis. Task03_Liver has the cases of LiTS: never train
    on one and test on the other.

    Args:
        task: the task by its folder, name or number, ``Task09_Spleen``, ``spleen`` or ``9``; null where ``root`` holds
            one alone.
        kwargs: as for ``VolumeCasesDataModule``.
    """

    landmarks = ("dataset.json",)

    def __init__(self, task: str | int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.task = None if task is None else str(task)

    @property
    def published(self) -> dict[str, int]:
        """As ``dataset.json`` counts them."""
        number = self.facts.get("numTraining")
        return {"train+val+test": number} if isinstance(number, int) else {}

    @cached_property
    def folder(self) -> Path:
        """The task's.

        Raises:
            UserError: no root, no task in it, or several and none or another is named.
        """
        if self.root is None:
            raise self.absent("data.root is not set")
        folder = find_task(self.root, self.task) if self.root.is_dir() else None
        if folder is None:
            raise self.absent(f"no dataset.json in {self.root}")
        return folder

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What ``dataset.json`` says."""
        facts: dict[str, Any] = read_json(self.folder / "dataset.json")
        for name in ("labels", "modality"):
            if not isinstance(facts.get(name), dict) or not facts[name]:
                raise UserError(f'No {name} in {self.folder / "dataset.json"}\nExpected "{name}": {{"0": NAME, ...}}')
        return facts

    @property
    def named(self) -> MaskLabels:
        """As in ``dataset.json``."""
        return MaskLabels.of(self.facts["labels"], self.folder / "dataset.json")

    @property
    def channels(self) -> list[str]:
        """As in ``dataset.json``."""
        modality = self.facts["modality"]
        return [str(modality[key]) for key in sorted(modality, key=natural)]

    @property
    def cases(self) -> list[ListedCase]:
        """All of the folders.

        Raises:
            UserError: there are none.
        """
        _ = self.facts
        cases = task_cases(self.folder)
        if not any(case.split == "train" for case in cases):
            raise self.absent(f"no *.nii.gz in {self.folder / 'imagesTr'}")
        return cases
