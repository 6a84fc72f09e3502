"""ISIC 2018, task 3: skin lesions of seven kinds."""

from transfusion_cli.datasets.families.skin_images import SkinImagesDataModule
from transfusion_cli.datasets.families.skin_tables import find_table


class ISIC2018DataModule(SkinImagesDataModule):
    """ISIC 2018 challenge, task 3: dermoscopic images of skin lesions, seven diagnoses.

    Source: https://challenge.isic-archive.com/data/#2018 (task 3: training, validation and test input and ground truth,
        and the lesion groupings)
    Licence: CC BY-NC 4.0
    Layout: ISIC2018_Task3_{Training,Validation,Test}_Input/*.jpg, ISIC2018_Task3_{...}_GroundTruth.csv beside them or
        in folders of their names, and ISIC2018_Task3_Training_LesionGroupings.csv
    Group: lesion, from the lesion groupings
    Classes: MEL, NV, BCC, AKIEC, BKL, DF, VASC
    Counts: 10,015 images for training, 193 for validation, 1,512 for the test
    Cite: Codella et al. 2019, arXiv:1902.03368; Tschandl et al. 2018, doi:10.1038/sdata.2018.161

    The official validation and test images are the splits of these names where they are there with their labels; else
    lesions of the training images are held out. Images without labels are for prediction (``predict_split: predict``).
    Without the lesion groupings images of one lesion can part. The metric of the challenge is the balanced accuracy.

    The training images are HAM10000, which ISIC 2019 contains too: never train on one and test on another of these.
    AKIEC holds actinic keratoses and Bowen's disease together; ISIC 2019's AK and SCC are not the same classes.

    Args:
        kwargs: as for ``MedicalDataModule``; and ``test_fraction``, the share of the lesions held out for the test.
    """

    landmarks = ("ISIC2018_Task3_Training_Input",)
    metadata = ("HAM10000_metadata",)
    class_names = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    lesion_table = "ISIC2018_Task3_Training_LesionGroupings"
    official = (
        ("train", "ISIC2018_Task3_Training_GroundTruth", "ISIC2018_Task3_Training_Input"),
        ("val", "ISIC2018_Task3_Validation_GroundTruth", "ISIC2018_Task3_Validation_Input"),
        ("test", "ISIC2018_Task3_Test_GroundTruth", "ISIC2018_Task3_Test_Input"),
    )

    @property
    def published(self) -> dict[str, int]:
        """The parts that are there; the others are held out of the training images."""
        there = {split for split, truth, _ in self.official if find_table(self.folder, truth)}
        counts = {"val": 193, "test": 1512}
        held_out = [split for split in counts if split not in there]
        return {"+".join(["train", *held_out]): 10015} | {split: counts[split] for split in counts if split in there}
