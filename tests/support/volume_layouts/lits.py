"""LiTS as its two archives unpack, with the headers that some masks have, and the test volumes."""

from pathlib import Path

from support.niftis import AFFINE, ball, flipped, leave_behind, save_nifti

NUMBERS = (0, 1, 2, 9, 10, 27, 28, 99, 100, 107, 114, 115, 116, 129, 130)
"""Some of each part of the group's split, and 130, which is in none."""


def build(
    root: Path, folders: tuple[str, str] = ("Training Batch 1", "Training Batch 2"), ending: str = ".nii"
) -> Path:
    """Write fifteen cases in two folders and a test volume.

    The mask of 9 has another affine than its volume, as of an unusable header; volume and mask of 10 run the other way
    along x; the mask of 28 is empty.
    """
    for number in NUMBERS:
        folder = root / folders[number > 27]
        image, mask = ball(number, empty=number == 28)
        affine = flipped() if number == 10 else AFFINE
        save_nifti(folder / f"volume-{number}{ending}", image, affine)
        save_nifti(folder / f"segmentation-{number}{ending}", mask, 2 * AFFINE if number == 9 else affine)
    leave_behind(root / folders[0], f"volume-0{ending}", f"segmentation-0{ending}")
    save_nifti(root / "LITS-Challenge-Test-Data" / f"test-volume-0{ending}", ball(500)[0])
    return root
