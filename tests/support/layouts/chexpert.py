"""The full release of CheXpert: batches, the tables in the first, CheXbert's labels; and CheXlocalize's test set."""

import shutil
from pathlib import Path

import numpy as np
from support.chexpert import build_chexpert
from support.images import save_picture

RELEASE = "chexpertchestxrays-u20210408"
FIRST = "CheXpert-v1.0 batch 1 (validate & csv)"
BATCHES = [f"CheXpert-v1.0 batch {k + 1} (train {k})" for k in (1, 2, 3)]


def build(root: Path, patients: int = 48) -> Path:
    """Write the release and, beside it, ``chexlocalize``; patients go to the three batches in turn by their number."""
    release = root / RELEASE
    small = build_chexpert(root / "flat", patients=patients, test_patients=8, prefix="CheXpert-v1.0", size=32)
    for k, name in enumerate(BATCHES):
        (release / name).mkdir(parents=True)
        for patient in range(1 + k * patients // 3, 1 + (k + 1) * patients // 3):
            shutil.move(small / "train" / f"patient{patient:05d}", release / name)
    (small / "train").rmdir()
    shutil.move(small, release / FIRST)
    text = (release / FIRST / "train.csv").read_text()
    (release / "train_cheXbert.csv").write_text(text.replace("-1.0", "1.0"))
    (release / "train_visualCheXbert.csv").write_text(text.replace("-1.0", "0.0"))
    (release / "README.md").write_text("CheXpert\n")
    _build_chexlocalize(root / "chexlocalize" / "CheXpert", release / FIRST)
    return root


def _build_chexlocalize(folder: Path, first: Path) -> None:
    """Tables of paths and labels alone, the paths without a prefix."""
    header, *rows = [line.split(",") for line in (first / "valid.csv").read_text().splitlines()]
    table = [",".join(header[:1] + header[5:])]
    table += [",".join([row[0].replace("CheXpert-v1.0/valid", "val"), *row[5:]]) for row in rows]
    shutil.copytree(first / "valid", folder / "val")
    (folder / "val_labels.csv").write_text("\n".join(table) + "\n")
    labels = np.random.default_rng(1).choice(["0.0", "1.0"], (6, 14))
    lines = table[:1]
    for k, patient in enumerate(range(64741, 64747)):
        for view in ("view1_frontal", "view2_lateral"):
            name = f"test/patient{patient}/study1/{view}.jpg"
            save_picture(folder / name, patient, (32, 40))
            lines.append(",".join([name, *labels[k]]))
    (folder / "test_labels.csv").write_text("\n".join(lines) + "\n")
