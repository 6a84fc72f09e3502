"""APTOS 2019: the Kaggle competition of the Asia Pacific Tele-Ophthalmology Society."""

import numpy as np

from transfusion_cli.data.copies import duplicate_groups
from transfusion_cli.data.layout.locate import locate
from transfusion_cli.data.layout.tables import read_table, require_columns
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.datasets.families.fundus import FundusDataModule


class APTOS2019DataModule(FundusDataModule):
    """APTOS 2019: retinal photographs from India in five grades of diabetic retinopathy.

    Source: https://www.kaggle.com/c/aptos2019-blindness-detection/data
    Licence: the rules of the competition, to be accepted there
    Layout: train.csv and train_images/*.png, with or without test_images/
    Group: copies of the same file; patients are not known
    Classes: no DR, mild, moderate, severe, proliferative; or referable (moderate and above)
    Counts: 3,662 images with grades (1,805, 370, 999, 193 and 295), 1,928 without
    Cite: Asia Pacific Tele-Ophthalmology Society 2019, APTOS 2019 Blindness Detection

    The grades of the official test were never published: its images are the split ``predict``, and the test split is
    drawn from ``train.csv``. Some images are there several times under other names, now and then with another grade;
    copies stay together. Both eyes of a patient may stand in different splits, which no one can tell. The size of an
    image betrays its camera and so something of its grade: keep ``circle_crop``, which makes all discs as large.

    Args:
        kwargs: as for ``FundusDataModule``.
    """

    landmarks = ("train_images",)

    @property
    def published(self) -> dict[str, int]:
        """Of train.csv."""
        return {"train+val+test": 3662} | self.by_class(1805, 370, 999, 193, 295)

    def load_samples(self) -> SampleTable:
        """Read train.csv, find copies, draw the splits, and add the images without grades."""
        path = self.folder / "train.csv"
        if not path.is_file() or not image_files(self.folder / "train_images"):
            raise self.absent(f"no train.csv or no images in {self.folder / 'train_images'}")
        frame = read_table(path)
        require_columns(frame, ["id_code", "diagnosis"], path)
        grades = self.read_grades(frame, "diagnosis", path)
        graded = locate(self.folder, "train_images", frame["id_code"].astype("str"), ".png")
        # Copies in the official test are of no matter: what has no label is not evaluated.
        ungraded = as_text(f"test_images/{name}" for name in image_files(self.folder / "test_images"))
        names = as_text(frame["id_code"].astype("str"))
        groups = np.concatenate([names[duplicate_groups(self.folder, graded, grades)], ungraded])
        paths = np.concatenate([graded, ungraded])
        split = np.repeat(["train", "predict"], [len(graded), len(ungraded)])
        grades = np.concatenate([grades, np.full(len(ungraded), -1)])
        table = SampleTable(paths, self.encode(grades), split, groups, paths, source_labels=label_matrix(grades))
        self.hold_out_missing(table, self.test_fraction)
        return table
