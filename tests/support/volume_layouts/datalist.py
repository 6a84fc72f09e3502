"""MONAI's datalist beside its files: folds, a validation list, images of several files, a test without masks."""

import json
from pathlib import Path

from support.niftis import ball, save_case, save_nifti


def build(root: Path, cases: int = 9, channels: int = 1, **more: object) -> Path:
    """Write a list of cases in three folds and two for the test, one of which has no mask; ``more`` joins the list."""
    training = []
    for number in range(cases):
        folder = root / "data" / f"subject{number}"
        save_case(folder / "ct.nii.gz", folder / "seg.nii.gz", number)
        files = [f"data/subject{number}/ct.nii.gz"]
        for channel in range(1, channels):
            save_nifti(folder / f"ct{channel}.nii.gz", ball(number)[0] + 7 * channel)
            files.append(f"data/subject{number}/ct{channel}.nii.gz")
        entry = {"image": files[0] if channels == 1 else files, "label": f"data/subject{number}/seg.nii.gz"}
        training.append(entry | {"fold": number % 3})
    test = []
    for number in (101, 102):
        folder = root / "data" / f"subject{number}"
        save_case(folder / "ct.nii.gz", folder / "seg.nii.gz", number)
        entry = {"image": [f"data/subject{number}/ct.nii.gz"] * channels}
        test.append(entry | ({"label": f"data/subject{number}/seg.nii.gz"} if number == 101 else {}))
    path = root / "datalist.json"
    path.write_text(json.dumps({"training": training, "test": test} | more))
    return path
