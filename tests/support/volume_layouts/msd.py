"""Medical Segmentation Decathlon: tasks side by side, AppleDouble files, ids with gaps, channels in the fourth axis."""

import json
from pathlib import Path

import numpy as np
from support.niftis import ball, leave_behind, save_nifti

IDS = (2, 3, 6, 8, 9, 10, 12, 17, 24, 31)
"""Not padded, not contiguous; 10 comes after 9."""


def build(root: Path, task: str = "Task09_Spleen", modality: tuple[str, ...] = ("CT",), classes: int = 1) -> Path:
    """Write ten cases for training and two for the test, without masks."""
    place, word = root / task, task.split("_")[1].lower()
    names = {"ball": ["ball"], "core": ["ball", "core"]}["core" if classes == 2 else "ball"]
    for number in IDS:
        image, mask = ball(number)
        save_nifti(place / "imagesTr" / f"{word}_{number}.nii.gz", _channels(image, len(modality)))
        save_nifti(place / "labelsTr" / f"{word}_{number}.nii.gz", np.minimum(mask, classes))
    for number in (1, 7):
        save_nifti(place / "imagesTs" / f"{word}_{number}.nii.gz", _channels(ball(number)[0], len(modality)))
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        leave_behind(place / folder, f"{word}_2.nii.gz")
    leave_behind(place, "dataset.json")
    told = {
        "name": word.title(),
        "modality": {str(i): name for i, name in enumerate(modality)},
        "labels": {"0": "background"} | {str(i): name for i, name in enumerate(names, 1)},
        "numTraining": len(IDS),
        "numTest": 2,
        "training": [{"image": f"./imagesTr/{word}_{i}.nii.gz", "label": f"./labelsTr/{word}_{i}.nii.gz"} for i in IDS],
        "test": [f"./imagesTs/{word}_{i}.nii.gz" for i in (1, 7)],
    }
    (place / "dataset.json").write_text(json.dumps(told))
    return place


def _channels(image: np.ndarray, number: int) -> np.ndarray:
    return image if number == 1 else np.stack([image + 7 * i for i in range(number)], axis=-1)
