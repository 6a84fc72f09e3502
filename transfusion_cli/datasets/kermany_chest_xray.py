"""Kermany's chest X-rays of children."""

import re
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.image_index import patients_from_names
from transfusion_cli.data.protocols import check_literal, in_random_order, repeat
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

_PATIENT = re.compile(r"(person\d+|IM-\d+)")
"""``person1000`` or ``IM-0115`` (``NORMAL2-IM-0115-0001`` counts as the same); other names stand for themselves."""

_CAUSE = re.compile(r"_(bacteria|virus)_")

KINDS = ("NORMAL", "bacteria", "virus", "unknown cause")
"""What folder and name tell of an image."""

PROTOCOL_VALIDATION = 320
"""Validation images of Kanavati & Tsuneki: five batches of 64."""


class KermanyChestXRayDataModule(ImageFilesDataModule):
    """Kermany chest X-rays: children without or with pneumonia, bacterial or viral.

    Source: https://data.mendeley.com/datasets/rscbjbr9sj/3 (ChestXRay2017.zip),
        or https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia
    Licence: CC BY 4.0
    Layout: chest_xray/{train,test}/{NORMAL,PNEUMONIA}/*.jpeg, with or without val/
    Group: patient, from the file name
    Classes: NORMAL, PNEUMONIA; or NORMAL, bacteria, virus
    Counts: 5,232 images for training, the 16 of val/ among them, and 624 for the test
    Cite: Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010

    The 16 images of the official ``val`` folder are too few to measure anything: they join the training images, from
    which validation patients are drawn. Whether a number in train and in test means the same patient is not known:
    patients are told apart within each. Pneumonia is more frequent in train (74 %) than in test (62 %).

    Args:
        causes: tell bacterial from viral pneumonia, three classes; false asks for pneumonia alone.
        protocol: ``official``, or ``partial_transfusion`` (Kanavati & Tsuneki 2021) with 320 validation images.
        literal: with ``partial_transfusion``: the validation images are training images too, as in the paper's code.
        kwargs: as for ``MedicalDataModule``.
    """

    landmarks = ("train/PNEUMONIA",)
    target: Target = "binary"
    class_names = ["NORMAL", "PNEUMONIA"]
    in_chans = 1

    def __init__(
        self,
        causes: bool = False,
        protocol: Literal["official", "partial_transfusion"] = "official",
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal(protocol, literal)
        self.causes, self.protocol, self.literal = causes, protocol, literal
        if causes:
            self.target, self.class_names = "multiclass", ["NORMAL", "bacteria", "virus"]
        if literal:
            self.known_leak = "literal: validation images are training images too"

    @property
    def published(self) -> dict[str, int]:
        """Of the Kaggle copy."""
        counts = {"train+val": 5232, "test": 624}
        return counts if self.causes else counts | {"class:NORMAL": 1583, "class:PNEUMONIA": 4273}

    def load_samples(self) -> SampleTable:
        """List the files; class and patient stand in their names."""
        paths = self.class_files(("NORMAL", "PNEUMONIA"))
        parts, labels, names = (
            as_text(column) for column in zip(*(path.split("/")[:3] for path in paths), strict=True)
        )
        split = np.where(parts == "test", "test", "train")
        patients = np.char.add(np.char.add(split, "/"), patients_from_names(names, _PATIENT))
        files = as_text(paths)
        kinds = _kinds(labels, names)
        targets = self._targets(kinds, names)
        table = SampleTable(files, targets, split, patients, files, source_labels=label_matrix(kinds))
        if self.literal:
            chosen = in_random_order(table, "train", self.split_seed)[:PROTOCOL_VALIDATION]
            return repeat(table, np.sort(chosen), "val")
        if self.protocol == "partial_transfusion":
            self.hold_out_number(table, PROTOCOL_VALIDATION, "val")
        else:
            self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def _targets(self, kinds: np.ndarray, names: np.ndarray) -> np.ndarray:
        if not self.causes:
            return (kinds > 0).astype(np.float32)[:, None]
        missing = names[kinds == KINDS.index("unknown cause")]
        if len(missing):
            raise UserError(
                f"{len(missing)} pneumonia images name no cause, for example {str(missing[0])!r}\n"
                "Expected names like person1000_bacteria_2931.jpeg; or leave out --data.causes"
            )
        return kinds


def _kinds(labels: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Number in ``KINDS`` of each image, int64 (N,), from its folder and its name."""
    causes = [found[1] if (found := _CAUSE.search(name)) else "unknown cause" for name in names.tolist()]
    kinds = ["NORMAL" if label == "NORMAL" else cause for label, cause in zip(labels, causes, strict=True)]
    return np.array([KINDS.index(kind) for kind in kinds], dtype=np.int64)
