"""ISIC 2019: skin lesions of eight kinds from three sources."""

import numpy as np

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.datasets.families.skin_images import SkinImagesDataModule
from transfusion_cli.datasets.families.skin_tables import find_table

SOURCES = ("BCN", "HAM", "MSK")
"""What lesion ids begin with: BCN20000 (Barcelona), HAM10000 (Vienna and Queensland), MSK (New York)."""


class ISIC2019DataModule(SkinImagesDataModule):
    """ISIC 2019 challenge: dermoscopic images of skin lesions, eight diagnoses, from three sources.

    Source: https://challenge.isic-archive.com/data/#2019 (training input, ground truth and metadata; test input)
    Licence: CC BY-NC 4.0
    Layout: ISIC_2019_Training_Input/*.jpg, ISIC_2019_Training_GroundTruth.csv, ISIC_2019_Training_Metadata.csv;
        optionally ISIC_2019_Test_Input/*.jpg and ISIC_2019_Test_GroundTruth.csv
    Group: lesion, from the metadata; domain: the source, from the lesion id
    Classes: MEL, NV, BCC, AK, BKL, DF, VASC, SCC
    Counts: 25,331 images for training, 8,238 for the test
    Cite: Combalia et al. 2019, arXiv:1908.02288; Tschandl et al. 2018, doi:10.1038/sdata.2018.161;
        Codella et al. 2017, arXiv:1710.05006

    The test images are the test split where their labels are there; without labels they are for prediction
    (``predict_split: predict``), and the test is held out by lesion. UNK, none of the eight, occurs in the test alone
    and is left out, so results differ from the challenge's, which counted it as a ninth class. Images without a lesion
    id (2,084 of the training images) count as lesions of their own, and their source as unknown. The metric of the
    challenge is the balanced accuracy.

    HAM10000, and so ISIC 2018's training images, are part of the training images: never train on one and test on
    another of these. Some images are there twice under different lesions and even with different labels, as in
    BCN_0000237 and BCN_0003560.

    Args:
        kwargs: as for ``MedicalDataModule``; and ``test_fraction``, the share of the lesions held out for the test.
    """

    landmarks = ("ISIC_2019_Training_Input",)
    metadata = ("ISIC_2019_Test_Metadata",)
    class_names = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]
    lesion_table = "ISIC_2019_Training_Metadata"
    official = (
        ("train", "ISIC_2019_Training_GroundTruth", "ISIC_2019_Training_Input"),
        ("test", "ISIC_2019_Test_GroundTruth", "ISIC_2019_Test_Input"),
    )

    @property
    def published(self) -> dict[str, int]:
        """Of the training images, where the official test images are not the test split."""
        return {"train+val": 25331} if find_table(self.folder, self.official[1][1]) else {"train+val+test": 25331}

    def load_samples(self) -> SampleTable:
        """Add the sources as domains."""
        table = super().load_samples()
        assert table.patients is not None
        prefixes = table.patients.astype("<U3")
        table.domains = np.where(np.isin(prefixes, SOURCES), prefixes, "unknown")
        return table
