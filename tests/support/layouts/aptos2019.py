"""APTOS 2019 as a Kaggle copy has it: one folder nested, copies under other names, one of them graded otherwise."""

import shutil
from pathlib import Path

from support.fundus import save_fundus

COPIES = {"00ce0000": "00000000", "00ce0001": "00000006", "00ce0002": "00000006"}
"""Copy to original; the third has another grade."""


def build(root: Path, images: int = 50, ungraded: int = 4) -> Path:
    """Write ``train_images/train_images``, ``test_images`` and the tables; sizes differ with the grade."""
    rows = []
    for image in range(images):
        grade = image % 5
        save_fundus(root / f"train_images/train_images/{image:08x}.png", image, size=(36 + 4 * grade, 48 + 4 * grade))
        rows.append(f"{image:08x},{grade}")
    for copy, original in COPIES.items():
        folder = root / "train_images/train_images"
        shutil.copy(folder / f"{original}.png", folder / f"{copy}.png")
        rows.append(f"{copy},{(int(original, 16) + (copy == '00ce0002')) % 5}")
    for image in range(ungraded):
        save_fundus(root / f"test_images/ee{image:06x}.png", 1000 + image)
    shutil.copy(root / "train_images/train_images/00000003.png", root / "test_images/ee00000f.png")
    (root / "train.csv").write_text("id_code,diagnosis\n" + "\n".join(rows) + "\n")
    tests = "\n".join(f"ee{image:06x}" for image in (*range(ungraded), 15))
    (root / "test.csv").write_text(f"id_code\n{tests}\n")
    (root / "sample_submission.csv").write_text("id_code,diagnosis\nee000000,0\n")
    return root
