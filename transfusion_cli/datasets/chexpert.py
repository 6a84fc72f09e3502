"""CheXpert, read from the files as Stanford releases them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.labels import BlankPolicy, UncertainPolicy, apply_policies
from transfusion_cli.data.readers import FileReader
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.data.tables import read_table, refuse, require_columns
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

FOURTEEN = [
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
]
FIVE = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"]
"""The labels of the CheXpert competition (Irvin et al. 2019)."""

MIXED: dict[str, UncertainPolicy] = {
    "Atelectasis": "ones",
    "Edema": "ones",
    "Cardiomegaly": "zeros",
    "Consolidation": "zeros",
    "Pleural Effusion": "zeros",
}
"""What most published CheXpert models do with uncertain labels; the other nine are ignored where uncertain."""

SOURCE = (
    "Get CheXpert-v1.0-small at https://stanfordmlgroup.github.io/competitions/chexpert/ "
    "and give --data.root DIR, where DIR holds train.csv, valid.csv, train/ and valid/"
)


class CheXpertDataModule(MedicalDataModule):
    """CheXpert chest X-rays: five or fourteen labels, uncertainty policies, validation split by patient.

    Reads ``train.csv`` and ``valid.csv`` exactly as released (Irvin et al. 2019, arXiv:1901.07031). Training and
    validation patients come from ``train.csv``; the official ``valid.csv``, labelled by radiologists, is the
    test split. Uncertain labels follow the policy in training; in validation and test they are unknown.

    Args:
        labels: ``five`` (the competition's), ``fourteen``, or a list of label names.
        views: Which images: ``frontal``, ``lateral`` or ``all``.
        projection: Only frontal images taken ``AP`` or ``PA``; null takes both, and the few marked LL or RL.
        uncertain: What -1 becomes in training: ``ignore`` (masked), ``zeros``, ``ones``, ``smooth`` (ones drawn from
            0.55 to 0.85), ``drop`` (leave out the row), or ``mixed`` (ones for Atelectasis and Edema; zeros for
            Cardiomegaly, Consolidation and Pleural Effusion; ignore for the rest). A mapping gives it per label;
            labels it does not name are ``mixed``.
        blank: What a label that the report does not mention becomes: ``zeros`` or ``ignore``.
        kwargs: As for ``MedicalDataModule``. ``root`` is the folder with ``train.csv``, ``valid.csv``, ``train/`` and
            ``valid/``, under whatever name, or its parent.
    """

    def __init__(
        self,
        labels: Literal["five", "fourteen"] | list[str] = "five",
        views: Literal["frontal", "lateral", "all"] = "frontal",
        projection: Literal["AP", "PA"] | None = None,
        uncertain: UncertainPolicy | Literal["mixed"] | dict[str, UncertainPolicy] = "mixed",
        blank: BlankPolicy = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        named = {"five": FIVE, "fourteen": FOURTEEN}
        self.labels = [_label(name) for name in (named[labels] if isinstance(labels, str) else labels)]
        self.views, self.projection, self.blank = views, projection, blank
        if isinstance(uncertain, str):
            policies = MIXED if uncertain == "mixed" else dict.fromkeys(self.labels, uncertain)
        else:
            policies = MIXED | {_label(name): policy for name, policy in uncertain.items()}
        self.uncertain: list[UncertainPolicy] = [policies.get(label, "ignore") for label in self.labels]

    @property
    def target(self) -> Target:
        """Several labels, each present or absent."""
        return "multilabel"

    @property
    def class_names(self) -> list[str]:
        """The labels."""
        return self.labels

    @property
    def in_chans(self) -> int:
        """Grey."""
        return 1

    @property
    def folder(self) -> Path:
        """The folder with ``train.csv``: ``root`` or the one folder in it that has it."""
        if self.root is None:
            raise UserError(f"CheXpert needs its folder: data.root is not set\n{SOURCE}")
        found = [path.parent for path in (self.root / "train.csv", *sorted(self.root.glob("*/train.csv")))]
        found = [folder for folder in found if (folder / "train.csv").is_file()]
        if not found:
            raise UserError(f"no CheXpert data: there is no train.csv in {self.root}\n{SOURCE}")
        return found[0]

    def load_samples(self) -> SampleTable:
        """Read both CSV files, choose views, apply the label policies and split train.csv by patient."""
        train, test = self._read("train"), self._read("test")
        paths, patients, targets, uncertain = (np.concatenate(pair) for pair in zip(train, test, strict=True))
        split = np.repeat(["train", "test"], [len(train[0]), len(test[0])]).astype("<U5")
        table = SampleTable(paths, targets, split, patients, paths)
        self.hold_out_patients(table, self.val_fraction, "val")
        # A policy is a guess: good enough to learn from, not to be measured against.
        table.targets[uncertain & (table.split != "train")[:, None]] = np.nan
        return table

    def make_reader(self, split: Split) -> FileReader:
        """Read JPEG files below the folder."""
        assert self.samples.paths is not None
        return FileReader(self.folder, self.samples.paths, channels=1, at_least=self.size)

    def _read(self, split: Literal["train", "test"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Paths, patients, targets and where the label is uncertain, of one file's rows."""
        path = self.folder / ("train.csv" if split == "train" else "valid.csv")
        if split == "test" and not path.is_file():
            nothing = np.zeros((0, len(self.labels)))
            return as_text([]), as_text([]), nothing.astype(np.float32), nothing.astype(bool)
        frame = read_table(path)
        frame.columns = frame.columns.str.replace("_", " ").str.strip()
        require_columns(frame, ["Path", *self.labels], path)
        raw = np.stack([_values(frame, label, path) for label in self.labels], axis=1)
        targets, keep = apply_policies(raw, self.uncertain, self.blank, self.seed)
        keep &= self._view(frame, path)
        parts = frame["Path"].str.extract(r"((?:train|valid|test)/(patient\d+)/.+)$")
        refuse(parts[0].isna().to_numpy(), frame["Path"], "Path", path, ".../train/patient00001/study1/view1_....jpg")
        kept = parts[keep]
        return as_text(kept[0].to_numpy()), as_text(kept[1].to_numpy()), targets[keep], raw[keep] == -1

    def _view(self, frame: "pd.DataFrame", path: Path) -> np.ndarray:
        chosen = np.ones(len(frame), dtype=bool)
        if self.views != "all":
            require_columns(frame, ["Frontal/Lateral"], path)
            view = frame["Frontal/Lateral"].astype("str").str.lower()
            unknown = ~view.isin(["frontal", "lateral"]).to_numpy()
            refuse(unknown, frame["Frontal/Lateral"], "Frontal/Lateral", path, "Frontal, Lateral")
            chosen &= (view == self.views).to_numpy()
        if self.projection is not None:
            require_columns(frame, ["AP/PA"], path)
            chosen &= (frame["AP/PA"] == self.projection).to_numpy()
        return chosen


def _label(name: str) -> str:
    plain = name.replace("_", " ")
    if plain not in FOURTEEN:
        raise UserError(f"CheXpert has no label {name!r}\n{did_you_mean(plain, FOURTEEN)}")
    return plain


def _values(frame: "pd.DataFrame", label: str, path: Path) -> np.ndarray:
    """One label column as 1, 0, -1 and NaN."""
    import pandas as pd

    column = frame[label]
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isin(values, (1, 0, -1)) & ~column.isna().to_numpy()
    refuse(bad, column, label, path, "1, 0, -1 (uncertain) and blank (not mentioned)")
    return values
