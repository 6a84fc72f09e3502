"""ACDC: two frames of each patient with their masks, the whole cycle in four axes, and Info.cfg."""

from pathlib import Path

import numpy as np
from support.niftis import ball, leave_behind, save_nifti

GROUPS = ("DCM", "HCM", "MINF", "NOR", "RV")


def build(root: Path, patients: int = 10, test: int = 2, masked: bool = True) -> Path:
    """Write patients of five groups; masks hold 1, 2 and 3. Those of the test have masks if ``masked``."""
    numbers = {"training": range(1, patients + 1), "testing": range(101, 101 + test)}
    for part, people in numbers.items():
        for number in people:
            folder = root / part / f"patient{number:03d}"
            frames = {"ED": 1, "ES": 8 + number % 5}
            for phase, frame in frames.items():
                image, mask = ball(10 * number + len(frames) * (phase == "ES"))
                mask[-6:][mask[-6:] > 0] = 3
                name = f"patient{number:03d}_frame{frame:02d}"
                save_nifti(folder / f"{name}.nii.gz", image)
                if masked or part == "training":
                    save_nifti(folder / f"{name}_gt.nii.gz", mask)
            save_nifti(folder / f"patient{number:03d}_4d.nii.gz", np.stack([image] * 3, axis=-1))
            facts = frames | {"Group": GROUPS[number % 5], "Height": 170.0, "NbFrame": 30, "Weight": 70.0}
            (folder / "Info.cfg").write_text("".join(f"{key}: {value}\n" for key, value in facts.items()))
            leave_behind(folder, f"patient{number:03d}_frame01.nii.gz")
        (root / part / "MANDATORY_CITATION.md").write_text("cite\n")
    return root
