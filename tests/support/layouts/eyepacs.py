"""EyePACS as Kaggle unpacks it, with the solution file and a nested copy; the zip parts still lie there."""

import csv
from pathlib import Path

from support.fundus import save_fundus


def build(root: Path, patients: int = 30, test_patients: int = 8) -> Path:
    """Write ``train/`` and ``test/``, both eyes of each patient; the right eye is one grade worse now and then."""
    train = _eyes(root / "train", 10, patients)
    test = _eyes(root / "test", 500, test_patients)
    _write(root / "trainLabels.csv", ["image", "level"], train)
    usage = [(image, level, "Public" if n < 4 else "Private") for n, (image, level) in enumerate(test)]
    _write(root / "retinopathy_solution.csv", ["image", "level", "Usage"], usage)
    save_fundus(root / "train/train/10_left.jpeg", 99)
    (root / "train/.DS_Store").write_bytes(b"\0")
    (root / "train.zip.001").write_bytes(b"PK")
    return root


def _eyes(folder: Path, first: int, patients: int) -> list[tuple[str, int]]:
    rows = []
    for patient in range(patients):
        for eye, side in enumerate(("left", "right")):
            name = f"{first + 3 * patient}_{side}"
            save_fundus(folder / f"{name}.jpeg", 10 * first + 2 * patient + eye, size=(40 + patient % 5, 52))
            rows.append((name, min(4, patient % 5 + (eye if patient % 3 == 0 else 0))))
    return rows


def _write(path: Path, header: list[str], rows: list[tuple]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
