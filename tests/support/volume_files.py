"""Drawn volumes with a box to find, as NIfTI files."""

from pathlib import Path

import nibabel
import numpy as np

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.data.volumes.base import VolumeDataModule

AFFINE = np.diag([-0.8, -0.8, 2.5, 1.0])


def build_volumes(folder: Path) -> Path:
    """Four cases with a box of 100 HU among noise about 0, and one without mask."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for name in "abcde":
        mask = np.zeros((30, 28, 10), np.uint8)
        mask[5:15, 6:16, 2:8] = 1
        image = (rng.normal(0, 20, mask.shape) + 100 * mask).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, AFFINE), folder / f"image_{name}.nii.gz")
        if name != "e":
            nibabel.save(nibabel.Nifti1Image(mask, AFFINE), folder / f"mask_{name}.nii.gz")
    return folder


class DrawnVolumes(VolumeDataModule):
    """What ``build_volumes`` drew."""

    class_names = ("box",)
    in_chans = 1
    modality = "CT"

    def load_samples(self) -> SampleTable:
        """Two cases to train on, one each to validate, to test and to predict."""
        ids, split = np.array(list("abcde")), np.array(["train", "train", "val", "test", "predict"])
        images = np.array([f"image_{name}.nii.gz" for name in ids])
        masks = np.array([f"mask_{name}.nii.gz" if name != "e" else "" for name in ids])
        return SampleTable(ids, np.zeros((5, 1), np.float32), split, paths=images, masks=masks)
