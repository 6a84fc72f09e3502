"""A tiny CheXpert tree as released: header, views, blanks and uncertain labels."""

from pathlib import Path

import numpy as np
from support.images import save_picture

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
_VALUES = np.array(["", "0.0", "1.0", "-1.0"])


def build_chexpert(
    root: Path, patients: int = 40, test_patients: int = 10, prefix: str = "CheXpert-v1.0-small", size: int = 40
) -> Path:
    """Write train.csv, valid.csv and JPEG files; the CSV paths start with ``prefix`` whatever ``root`` is called.

    Each training patient has one or two studies with a frontal view; every second study adds a lateral one. Two frontal
    views are marked LL and RL. Labels are those of the study: in training blank, 0, 1 or -1; in the test 0 or 1, and
    without a fracture.

    Args:
        root: Folder to write to.
        patients: In train.csv.
        test_patients: In valid.csv.
        prefix: Folder name in the Path column.
        size: Height of the images; they are a little wider.
    """
    rng = np.random.default_rng(0)
    _build_part(root, "train", range(1, patients + 1), prefix, size, rng)
    _build_part(root, "valid", range(64541, 64541 + test_patients), prefix, size, rng)
    return root


def _build_part(root: Path, part: str, patients: range, prefix: str, size: int, rng: np.random.Generator) -> None:
    lines = [HEADER]
    for patient in patients:
        for study in range(1, 2 + patient % 2):
            labels = ",".join(_labels(part, rng))
            for view in ("frontal", "lateral")[: 1 + study % 2]:
                place = f"{part}/patient{patient:05d}/study{study}/view{1 + (view == 'lateral')}_{view}.jpg"
                save_picture(root / place, patient * 10 + study, (size, size + 8))
                projection = {3: "LL", 4: "RL"}.get(patient, "AP" if patient % 3 else "PA")
                person = f"{'Male' if patient % 2 else 'Female'},{20 + patient % 60}"
                row = f"{prefix}/{place},{person},{view.capitalize()},{projection if view == 'frontal' else ''}"
                lines.append(f"{row},{labels}")
    (root / f"{part}.csv").write_text("\n".join(lines) + "\n")


def _labels(part: str, rng: np.random.Generator) -> list[str]:
    if part == "valid":
        values = _VALUES[rng.choice([1, 2], 14)]
        values[12] = "0.0"
    else:
        values = _VALUES[rng.choice(4, 14, p=[0.3, 0.3, 0.25, 0.15])]
        values[0] = "" if values[0] in ("0.0", "-1.0") else values[0]
    return values.tolist()
