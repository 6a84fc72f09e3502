"""The labels of CheXpert: their names, their values in the tables, and how uncertain ones are commonly read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.datasets.families.uncertain_labels import UncertainPolicy
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

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

TABLES = {"chexpert": "train.csv", "chexbert": "train_cheXbert.csv", "visualchexbert": "train_visualCheXbert.csv"}
"""Labeler to the table with its labels of the training images."""


def label_name(name: str) -> str:
    """One of ``FOURTEEN``, also where it is written with underscores.

    Raises:
        UserError: no such label.
    """
    plain = name.replace("_", " ")
    if plain not in FOURTEEN:
        raise UserError(f"CheXpert has no label {name!r}\n{did_you_mean(plain, FOURTEEN)}")
    return plain


def positives(frame: pd.DataFrame) -> np.ndarray:
    """Which of the ``FOURTEEN`` are 1 in each row, bool (N, 14), whatever else the columns hold, if they are there."""
    import pandas as pd

    return np.asarray(frame.reindex(columns=FOURTEEN).apply(pd.to_numeric, errors="coerce").eq(1).to_numpy())
