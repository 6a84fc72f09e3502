"""Data sets: one data module each, for the layout in which it is published."""

from transfusion_cli.datasets.chexpert import CheXpertDataModule
from transfusion_cli.datasets.image_table import ImageTableDataModule
from transfusion_cli.datasets.kermany_chest_xray import KermanyChestXRayDataModule
from transfusion_cli.datasets.medmnist import MedMNISTDataModule
from transfusion_cli.datasets.phantom import PhantomDataModule

__all__ = [
    "CheXpertDataModule",
    "ImageTableDataModule",
    "KermanyChestXRayDataModule",
    "MedMNISTDataModule",
    "PhantomDataModule",
]
