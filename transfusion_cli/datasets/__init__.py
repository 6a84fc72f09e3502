"""Data sets: one data module each, for the layout in which it is published."""

from transfusion_cli.datasets.aptos2019 import APTOS2019DataModule
from transfusion_cli.datasets.breakhis import BreaKHisDataModule
from transfusion_cli.datasets.camelyon17 import Camelyon17DataModule
from transfusion_cli.datasets.chexpert import CheXpertDataModule
from transfusion_cli.datasets.eyepacs import EyePACSDataModule
from transfusion_cli.datasets.ham10000 import HAM10000DataModule
from transfusion_cli.datasets.image_table import ImageTableDataModule
from transfusion_cli.datasets.isic2018 import ISIC2018DataModule
from transfusion_cli.datasets.isic2019 import ISIC2019DataModule
from transfusion_cli.datasets.isic2020 import ISIC2020DataModule
from transfusion_cli.datasets.kather_colorectal import KatherColorectalDataModule
from transfusion_cli.datasets.kermany_chest_xray import KermanyChestXRayDataModule
from transfusion_cli.datasets.kermany_oct import KermanyOCTDataModule
from transfusion_cli.datasets.malaria import MalariaDataModule
from transfusion_cli.datasets.medmnist import MedMNISTDataModule
from transfusion_cli.datasets.messidor import MessidorDataModule
from transfusion_cli.datasets.messidor2 import Messidor2DataModule
from transfusion_cli.datasets.mura import MURADataModule
from transfusion_cli.datasets.nct_crc import NCTCRCDataModule
from transfusion_cli.datasets.nih_chest_xray14 import NIHChestXRay14DataModule
from transfusion_cli.datasets.patch_camelyon import PatchCamelyonDataModule
from transfusion_cli.datasets.phantom import PhantomDataModule
from transfusion_cli.datasets.rsna_pneumonia import RSNAPneumoniaDataModule

__all__ = [
    "APTOS2019DataModule",
    "BreaKHisDataModule",
    "Camelyon17DataModule",
    "CheXpertDataModule",
    "EyePACSDataModule",
    "HAM10000DataModule",
    "ISIC2018DataModule",
    "ISIC2019DataModule",
    "ISIC2020DataModule",
    "ImageTableDataModule",
    "KatherColorectalDataModule",
    "KermanyChestXRayDataModule",
    "KermanyOCTDataModule",
    "MURADataModule",
    "MalariaDataModule",
    "MedMNISTDataModule",
    "Messidor2DataModule",
    "MessidorDataModule",
    "NCTCRCDataModule",
    "NIHChestXRay14DataModule",
    "PatchCamelyonDataModule",
    "PhantomDataModule",
    "RSNAPneumoniaDataModule",
]
