"""Facts about the MedMNIST v2 sets (Yang et al. 2023, doi:10.1038/s41597-022-01721-8)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transfusion_cli.targets import Target
from transfusion_cli.yaml_file import read_yaml

Flag = Literal[
    "pathmnist",
    "chestmnist",
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "retinamnist",
    "breastmnist",
    "bloodmnist",
    "tissuemnist",
    "organamnist",
    "organcmnist",
    "organsmnist",
    "organmnist3d",
    "nodulemnist3d",
    "adrenalmnist3d",
    "fracturemnist3d",
    "vesselmnist3d",
    "synapsemnist3d",
]
Size = Literal[28, 64, 128, 224]


@dataclass(frozen=True)
class MedMNISTFacts:
    """What one set holds.

    Args:
        target: kind of target.
        channels: 1 for grey, 3 for colour.
        counts: published numbers of training, validation and test images.
        md5: checksum of the file of each image size.
        augmentation: key of ``augmentation.DEFAULTS``, or ``volumes.DEFAULTS``, that suits the images.
        class_names: in the order of the labels.
        licence: of the data.
        dims: axes of the images.
        shapes: whether the images are shapes, full inside and empty outside, so that their size alone tells something.
    """

    target: Target
    channels: Literal[1, 3]
    counts: tuple[int, int, int]
    md5: dict[Size, str]
    augmentation: str
    class_names: list[str]
    licence: str = "CC BY 4.0"
    dims: Literal[2, 3] = 2
    shapes: bool = False


FACTS: dict[Flag, MedMNISTFacts] = {
    flag: MedMNISTFacts(**facts | {"counts": tuple(facts["counts"])})
    for flag, facts in read_yaml(Path(__file__).with_name("medmnist.yaml")).items()
}
