"""Data sets: one data module each, for the layout in which it is published."""

from transfusion_cli.datasets.acdc import ACDCDataModule
from transfusion_cli.datasets.aptos2019 import APTOS2019DataModule
from transfusion_cli.datasets.breakhis import BreaKHisDataModule
from transfusion_cli.datasets.camelyon17 import Camelyon17DataModule
from transfusion_cli.datasets.chasedb1 import CHASEDB1DataModule
from transfusion_cli.datasets.chexpert import CheXpertDataModule
from transfusion_cli.datasets.datalist import DatalistDataModule
from transfusion_cli.datasets.drive import DRIVEDataModule
from transfusion_cli.datasets.eyepacs import EyePACSDataModule
from transfusion_cli.datasets.ham10000 import HAM10000DataModule
from transfusion_cli.datasets.hrf import HRFDataModule
from transfusion_cli.datasets.image_table import ImageTableDataModule
from transfusion_cli.datasets.isic2018 import ISIC2018DataModule
from transfusion_cli.datasets.isic2019 import ISIC2019DataModule
from transfusion_cli.datasets.isic2020 import ISIC2020DataModule
from transfusion_cli.datasets.kather_colorectal import KatherColorectalDataModule
from transfusion_cli.datasets.kermany_chest_xray import KermanyChestXRayDataModule
from transfusion_cli.datasets.kermany_oct import KermanyOCTDataModule
from transfusion_cli.datasets.lidc import LIDCDataModule
from transfusion_cli.datasets.lidc_segmentation import LIDCSegmentationDataModule
from transfusion_cli.datasets.lits import LiTSDataModule
from transfusion_cli.datasets.luna16 import LUNA16DataModule
from transfusion_cli.datasets.malaria import MalariaDataModule
from transfusion_cli.datasets.mask_table import MaskTableDataModule
from transfusion_cli.datasets.medmnist import MedMNISTDataModule
from transfusion_cli.datasets.messidor import MessidorDataModule
from transfusion_cli.datasets.messidor2 import Messidor2DataModule
from transfusion_cli.datasets.msd import MSDDataModule
from transfusion_cli.datasets.mura import MURADataModule
from transfusion_cli.datasets.nct_crc import NCTCRCDataModule
from transfusion_cli.datasets.nih_chest_xray14 import NIHChestXRay14DataModule
from transfusion_cli.datasets.nnunet import NNUNetDataModule
from transfusion_cli.datasets.nnunet_images import NNUNetImagesDataModule
from transfusion_cli.datasets.patch_camelyon import PatchCamelyonDataModule
from transfusion_cli.datasets.phantom import PhantomDataModule
from transfusion_cli.datasets.rsna_pneumonia import RSNAPneumoniaDataModule
from transfusion_cli.datasets.stare import STAREDataModule
from transfusion_cli.datasets.vessel_phantom import VesselPhantomDataModule
from transfusion_cli.datasets.volume_phantom import VolumePhantomDataModule

__all__ = [
    "ACDCDataModule",
    "APTOS2019DataModule",
    "BreaKHisDataModule",
    "CHASEDB1DataModule",
    "Camelyon17DataModule",
    "CheXpertDataModule",
    "DRIVEDataModule",
    "DatalistDataModule",
    "EyePACSDataModule",
    "HAM10000DataModule",
    "HRFDataModule",
    "ISIC2018DataModule",
    "ISIC2019DataModule",
    "ISIC2020DataModule",
    "ImageTableDataModule",
    "KatherColorectalDataModule",
    "KermanyChestXRayDataModule",
    "KermanyOCTDataModule",
    "LIDCDataModule",
    "LIDCSegmentationDataModule",
    "LUNA16DataModule",
    "LiTSDataModule",
    "MSDDataModule",
    "MURADataModule",
    "MalariaDataModule",
    "MaskTableDataModule",
    "MedMNISTDataModule",
    "Messidor2DataModule",
    "MessidorDataModule",
    "NCTCRCDataModule",
    "NIHChestXRay14DataModule",
    "NNUNetDataModule",
    "NNUNetImagesDataModule",
    "PatchCamelyonDataModule",
    "PhantomDataModule",
    "RSNAPneumoniaDataModule",
    "STAREDataModule",
    "VesselPhantomDataModule",
    "VolumePhantomDataModule",
]
