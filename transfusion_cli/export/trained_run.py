"""A run to be exported: its network, how its images were prepared, and what it answers."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transfusion_cli import __version__
from transfusion_cli.data.base import FALLBACK_SIZE, MedicalDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.export.agreement import Reference
from transfusion_cli.export.preprocessing import Preprocessing, levels
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.probabilities import probabilities
from transfusion_cli.models.facts import pretrained_config
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.classification import ClassificationTask

IMAGES = 16
"""Images that outputs are compared on."""


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """One run of classification.

    Args:
        folder: of the run.
        task: with its network, in evaluation mode, as it was trained; ``fold`` changes it.
        data: the data module of the run; None where it cannot be made.
        record: what the folder says.
        preprocessing: what was made of an image.
        reference: what the network gives of some images.
        audit: what trained.
        decisions: calibration and thresholds, where there are any.
    """

    folder: RunFolder
    task: ClassificationTask
    data: MedicalDataModule | None
    record: RunRecord
    preprocessing: Preprocessing
    reference: Reference
    audit: str
    decisions: Decisions | None = None

    @classmethod
    def of(
        cls, folder: RunFolder, task: ClassificationTask, data: MedicalDataModule | None, images: bool = True
    ) -> Self:
        """Put together what a network and its run folder say.

        Args:
            folder: of the run.
            task: with its weights.
            data: of the run; None where it cannot be made.
            images: whether its images can be read.

        Raises:
            UserError: images cannot be read, or were prepared as nobody will elsewhere.
        """
        task.eval().requires_grad_(False)
        if data is not None:
            data.network_size = task.input_size[1:]
        record = RunRecord.read(folder)
        prepared = _preprocessing(record.settings, task, data)
        split, taken = _images(data) if data is not None and images else (None, _random(prepared))
        with torch.no_grad():
            logits = torch.cat([task(task.normalise(image[None])) for image in taken])
        answers = probabilities(task.target, logits)
        reference = Reference(torch.stack([levels(image) for image in taken]), logits, answers, split)
        return cls(folder, task, data, record, prepared, reference, task.audit())

    @property
    def architecture(self) -> str:
        """What timm calls the network, without where it came from."""
        return str(pretrained_config(self.task.network).get("architecture", self.task.backbone))

    @property
    def labels(self) -> list[str]:
        """What each output of the network speaks for."""
        names = self.task.class_names
        match self.task.target:
            case "binary":
                return names[1:]
            case "ordinal":
                return [f"above {name}" for name in names[:-1]]
            case _:
                return names

    @property
    def about(self) -> dict[str, Any]:
        """What an exported file says of itself, as plain data; no path and no name of a machine."""
        of_probabilities = self.labels if self.task.target == "binary" else self.task.class_names
        said: dict[str, Any] = {
            "made_by": f"transfusion {__version__}",
            "run": f"{self.folder.name}/{self.folder.path.name}",
            "architecture": self.architecture,
            "target": self.task.target,
            "class_names": self.task.class_names,
            "outputs": {"logits": self.labels, "probabilities": of_probabilities},
            "preprocessing": self.preprocessing.rule,
        }
        if self.decisions is not None:
            said["thresholds"] = dict(self.decisions.thresholds)
            affine = self.decisions.affine()
            if affine is not None:
                scale, shift = (np.asarray(value, dtype=float).reshape(-1).tolist() for value in affine)
                said["calibration"] = {"scale": scale, "shift": shift, "of": "logits, before probabilities"}
        return said


def can_be_exported(task: TransferTask, run: RunFolder) -> ClassificationTask:
    """The task, where it is of a kind that files of all formats hold.

    Args:
        task: of the run.
        run: its folder.

    Raises:
        UserError: it is not.
    """
    if task.dims == 3:
        raise UserError(
            f"{run} is a run on volumes; networks for images are exported.\n"
            f"It predicts where this program is: transfusion predict {run}"
        )
    if type(task) is not ClassificationTask:
        raise UserError(
            f"{run} is a run of {type(task).__name__}; classifiers of images (ClassificationTask) are exported.\n"
            f"It predicts where this program is: transfusion predict {run} --input FOLDER"
        )
    return task


def _preprocessing(settings: dict[str, Any], task: ClassificationTask, data: MedicalDataModule | None) -> Preprocessing:
    """Of the data where they can be made, of what the run was given where not."""
    if settings.get("data.shuffle_blocks") is not None:
        raise UserError(
            "The run learned from images whose blocks are shuffled, which nobody will do to an image elsewhere.\n"
            "Train without --data.shuffle_blocks to export."
        )
    mean, std = (tuple(value.flatten().tolist()) for value in (task.mean, task.std))
    if data is not None:
        channels, size, resize = data.in_chans, data.size, data.resize
    else:
        given = settings.get("data.image_size") or task.input_size[1:] or FALLBACK_SIZE
        size = (given, given) if isinstance(given, int) else tuple(given)
        channels, resize = len(mean), settings.get("data.resize") or "stretch"
    return Preprocessing(channels, (int(size[0]), int(size[1])), resize, mean, std)


def _images(data: MedicalDataModule) -> tuple[str, list[Tensor]]:
    """Images of the validation split, or of the test split, evenly over it, as evaluation reads them."""
    try:
        split: Any = "val"
        data.setup("validate")
    except UserError:
        split = "test"
        data.setup("test")
    images = data.image_set(split)
    places = np.unique(np.linspace(0, len(images) - 1, min(IMAGES, len(images))).astype(int))
    return split, [images[int(place)]["image"] for place in places]


def _random(made: Preprocessing) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, made.channels, *made.size), generator=generator, dtype=torch.uint8)
    return list(images)
