"""Data modules: what the images are, which patients are held out, and batches of them."""

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.chexpert import CheXpertDataModule
from transfusion_cli.data.image_table import ImageTableDataModule
from transfusion_cli.data.medmnist import MedMNISTDataModule
from transfusion_cli.data.phantom import PhantomDataModule

__all__ = [
    "CheXpertDataModule",
    "ImageTableDataModule",
    "MedMNISTDataModule",
    "MedicalDataModule",
    "PhantomDataModule",
]
