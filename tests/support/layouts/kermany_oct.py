"""Kermany's OCT images as Kaggle has them: a space after OCT2017, a nested copy, numbers found in several folders."""

from pathlib import Path

import numpy as np
from PIL import Image
from support.images import picture, save_picture

CLASSES = ("CNV", "DME", "DRUSEN", "NORMAL")
EVERYWHERE = 1001666  # a patient with images in every class
IN_BOTH = 1016042  # a patient of train/CNV and test/DRUSEN


def scan(path: Path, seed: int, margins: tuple[int, int] = (0, 0)) -> None:
    """Write a B-scan of 48 x 64 with white margins of so many pixels above and at either side."""
    pixels = np.full((48, 64), 255, np.uint8)
    inside = slice(margins[0], None), slice(margins[1], 64 - margins[1])
    pixels[inside] = picture(seed, (48, 64))[inside] // 2
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=90)


def build(root: Path, version: int = 2, patients: int = 6) -> Path:
    """Write ``OCT2017 /{train,val,test}`` or ``CellData/OCT/{train,test}``, each patient with two images or more."""
    folder = root / "OCT2017 " if version == 2 else root / "CellData" / "OCT"
    for k, label in enumerate(CLASSES):
        for patient in range(patients):
            number = 1000 * (k + 1) + patient
            for image in (1, 2):
                scan(folder / f"train/{label}/{label}-{number}-{image}.jpeg", number + 7 * image, (4 * image, 8))
        scan(folder / f"train/{label}/{label}-{EVERYWHERE}-{k + 1}.jpeg", k)
        for number in (9000 + k, 9100 + k):
            scan(folder / f"test/{label}/{label}-{number}-1.jpeg", number)
    scan(folder / f"train/CNV/CNV-{IN_BOTH}-1.jpeg", 50)
    scan(folder / f"train/CNV/CNV-{IN_BOTH}-2.jpeg", 51)
    scan(folder / f"test/DRUSEN/DRUSEN-{IN_BOTH}-3.jpeg", 52)
    if version == 2:
        for k, label in enumerate(CLASSES):  # of a training patient, of the test's DRUSEN patient, of nobody else
            number = (1000, IN_BOTH, 8002, 8003)[k]
            scan(folder / f"val/{label}/{label}-{number}-9.jpeg", 60 + k)
        scan(root / "oct2017" / "OCT2017 " / "train/CNV/CNV-1000-1.jpeg", 1007)
    (folder / "train/.DS_Store").write_bytes(b"\0")
    save_picture(root / "chest_xray/train/NORMAL/IM-0115-0001.jpeg", 1, (40, 52))  # the other half of the archive
    save_picture(root / "chest_xray/train/PNEUMONIA/person1_virus_6.jpeg", 2, (40, 52))
    return root
