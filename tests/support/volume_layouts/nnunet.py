"""nnU-Net's raw layout: one file a channel, dataset.json, a Mac's leftovers, cases of one patient under two names."""

import json
from pathlib import Path

import numpy as np
from support.niftis import ball, flipped, leave_behind, save_nifti

NAMES = [f"patient{patient:03d}_frame{frame:02d}" for patient in range(1, 7) for frame in (1, 9 + patient)]


def build(
    root: Path,
    channels: tuple[str, ...] = ("CT",),
    labels: dict[str, object] | None = None,
    test: tuple[str, ...] = ("patient101_frame01", "patient102_frame01"),
    masked: bool = True,
    folder: str = "Dataset007_Ball",
) -> Path:
    """Write twelve cases of six patients for training and two for the test, which have masks if ``masked``.

    Of the training cases the second is empty, the third runs the other way along x, the fourth has a mask whose values
    are scaled in its header so that they are whole only after rounding.
    """
    place = root / folder
    for part, names in (("Tr", NAMES), ("Ts", test)):
        for number, name in enumerate(names):
            image, mask = ball(len(part + name) * 100 + number, empty=(part, number) == ("Tr", 1))
            turn = (part, number) == ("Tr", 2)
            image, mask = (image[::-1], mask[::-1]) if turn else (image, mask)
            affine = {"affine": flipped()} if turn else {}
            for channel in range(len(channels)):
                path = place / f"images{part}" / f"{name}_{channel:04d}.nii.gz"
                save_nifti(path, image + 7 * channel, **affine)
            if part == "Tr" and number == 3:
                scaled = np.round((mask.astype(np.float64) - 0.5) / 2.3e-7).astype(np.int32)
                save_nifti(place / "labelsTr" / f"{name}.nii.gz", scaled, slope=2.3e-7, inter=0.5)
            elif part == "Tr" or masked:
                save_nifti(place / f"labels{part}" / f"{name}.nii.gz", mask, **affine)
    leave_behind(place / "imagesTr", f"{NAMES[0]}_0000.nii.gz")
    leave_behind(place / "labelsTr", f"{NAMES[0]}.nii.gz")
    told = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": labels or {"background": 0, "ball": 1, "core": 2},
        "numTraining": len(NAMES),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIO",
    }
    (place / "dataset.json").write_text(json.dumps(told))
    return place


def split_in_folds(place: Path, number: int = 3) -> Path:
    """Write ``splits_final.json``, by patient."""
    patients = sorted({name.split("_")[0] for name in NAMES})
    folds = [
        {
            "train": [name for name in NAMES if patients.index(name.split("_")[0]) % number != fold],
            "val": [name for name in NAMES if patients.index(name.split("_")[0]) % number == fold],
        }
        for fold in range(number)
    ]
    path = place / "splits_final.json"
    path.write_text(json.dumps(folds))
    return path
