"""nnU-Net's raw layout of images: PNG or TIFF, in colour in one file, and a Mac's leftovers."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def build(root: Path, colour: bool = True, ending: str = ".png") -> Path:
    """Write ten photographs or grey images for training and one for the test, each with two classes."""
    rng = np.random.default_rng(0)
    for part, number in (("Tr", 10), ("Ts", 1)):
        for folder in ("images", "labels"):
            (root / f"{folder}{part}").mkdir(parents=True, exist_ok=True)
        for case in range(number):
            mask = np.zeros((24, 30), np.uint8)
            mask[4:12, 5:20], mask[14:20, 5:20] = 1, 2
            image = rng.integers(0, 90, (24, 30, 3) if colour else (24, 30)).astype(np.uint8)
            image[mask > 0] += 100
            Image.fromarray(image).save(root / f"images{part}/{part}_{case}_0000{ending}")
            Image.fromarray(mask).save(root / f"labels{part}/{part}_{case}{ending}")
    (root / "imagesTr/._Tr_0_0000.png").write_bytes(b"\0")
    told = {
        "channel_names": {"0": "R", "1": "G", "2": "B"} if colour else {"0": "grey"},
        "labels": {"background": 0, "disc": 1, "cup": 2},
        "file_ending": ending,
    }
    (root / "dataset.json").write_text(json.dumps(told))
    return root
