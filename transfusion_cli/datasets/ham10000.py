"""HAM10000: skin lesions of seven kinds."""

from transfusion_cli.datasets.families.skin_images import SkinImagesDataModule
from transfusion_cli.datasets.families.skin_tables import find_table


class HAM10000DataModule(SkinImagesDataModule):
    """HAM10000: dermoscopic images of pigmented skin lesions, seven diagnoses.

    Source: https://doi.org/10.7910/DVN/DBW86T (HAM10000_images_part_1.zip, HAM10000_images_part_2.zip,
        HAM10000_metadata), or https://www.kaggle.com/datasets/kmader/skin-cancer-mnist-ham10000
    Licence: CC BY-NC 4.0
    Layout: HAM10000_metadata.csv (or HAM10000_metadata) and HAM10000_images_part_{1,2}/*.jpg, or all images in one
        folder; optionally ISIC2018_Task3_Test_GroundTruth.csv and ISIC2018_Task3_Test_Images/*.jpg
    Group: lesion, from lesion_id; domain: the source of the image, where the metadata name it
    Classes: akiec, bcc, bkl, df, mel, nv, vasc
    Counts: 10,015 images of 7,470 lesions, 6,705 of them nv; 1,511 or 1,512 for the test
    Cite: Tschandl et al. 2018, doi:10.1038/sdata.2018.161

    Many lesions have several images, so splits are by lesion. The test images of the ISIC 2018 challenge, which come
    with the data on Dataverse, are the test split where they are there with their labels; else lesions are held out.

    ISIC 2018 (task 3) has the same training images, ISIC 2019 contains them, and DermaMNIST is made of them: never
    train on one and test on another of these.

    Args:
        kwargs: as for ``MedicalDataModule``; and ``test_fraction``, the share of the lesions held out for the test.
    """

    landmarks = ("HAM10000_metadata", "HAM10000_metadata.csv", "HAM10000_metadata.tab")
    class_names = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    official = (
        ("train", "HAM10000_metadata", ""),
        ("test", "ISIC2018_Task3_Test_GroundTruth", "ISIC2018_Task3_Test_Images"),
    )

    @property
    def published(self) -> dict[str, int]:
        """Of the 10,015 images, wherever there are no other images for the test."""
        if find_table(self.folder, self.official[1][1]):
            return {"train+val": 10015}
        counts = (327, 514, 1099, 115, 1113, 6705, 142)
        by_class = {f"class:{name}": count for name, count in zip(self.class_names, counts, strict=True)}
        return {"train+val+test": 10015, "patients": 7470} | by_class
