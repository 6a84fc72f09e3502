"""Messidor-2: 874 examinations of both eyes, with the grades that Google's adjudicators gave."""

import logging
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfusion_cli.data.layout.locate import image_key, locate
from transfusion_cli.data.layout.tables import numbers, read_table
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.datasets.families.fundus import FundusDataModule
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

LABELS = "messidor_data.csv"
COLUMNS = {"image_id": "image", "id_code": "image", "adjudicated_dr_grade": "grade", "diagnosis": "grade"}
"""The two headers in which the grades are about."""


class Messidor2DataModule(FundusDataModule):
    """Messidor-2: retinal photographs of both eyes in five adjudicated grades, usually for the test alone.

    Source: https://www.adcis.net/en/third-party/messidor2/ (images and pairs),
        https://www.kaggle.com/datasets/google-brain/messidor2-dr-grades (messidor_data.csv)
    Licence: research and education only, no redistribution; after registration
    Layout: messidor_data.csv, the images in IMAGES/ or any other folder, and messidor-2.csv (left;right)
    Group: examination, the pairs of messidor-2.csv
    Classes: no DR, mild, moderate, severe, proliferative; or referable (moderate and above)
    Counts: 1,748 images of 874 examinations, all but three or four of them gradable
    Cite: Abramoff et al. 2013, doi:10.1001/jamaophthalmol.2013.1743; grades: Krause et al. 2018,
        doi:10.1016/j.ophtha.2018.01.034

    Images that could not be graded are left out, and their number is logged. Without ``messidor-2.csv`` it is not known
    which two images show the same patient. Results are also given by domain: ``original``, the images that Messidor has
    too (do not train on the one and test on the other), and ``extension``, those from Brest named ``IM....JPG``.

    Args:
        use: ``test`` makes all images the test split, for a model trained on other data; ``all`` draws training,
            validation and test splits by examination.
        kwargs: as for ``FundusDataModule``.
    """

    landmarks = (LABELS,)

    def __init__(self, use: Literal["test", "all"] = "test", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use = use

    def setup(self, stage: str | None = None) -> None:
        """Read the table and check it; without training images, say how to get some."""
        if self.use == "test" and stage in ("fit", "validate"):
            raise UserError(
                "Messidor2: all images are in the test split\nTo train on some of them: --data.use all"
                "\nTo test a model trained elsewhere: transfusion test --ckpt_path ..."
            )
        super().setup(stage)

    def load_samples(self) -> SampleTable:
        """Read the grades, leave out what has none, find images and pairs, and draw the splits."""
        path = self.folder / LABELS
        frame = read_table(path).rename(columns=COLUMNS)
        if not {"image", "grade"} <= set(frame.columns):
            raise UserError(f"No columns image_id and adjudicated_dr_grade, nor id_code and diagnosis\nin {path}")
        grades = self.read_grades(frame, "grade", path)
        gradable = grades >= 0
        if "adjudicated_gradable" in frame.columns:
            gradable &= numbers(frame["adjudicated_gradable"]) != 0
        log.info(
            "%d of %d images are gradable, the other %d are left out",
            gradable.sum(),
            len(frame),
            (~gradable).sum(),
        )
        names = frame["image"].astype("str")[gradable]
        paths = locate(self.folder, ".", names, ".png")
        if not any((self.folder / found).is_file() for found in paths):
            raise self.absent(f"none of the images of {path} are below {self.folder}")
        keys = as_text(image_key(name) for name in names)
        domains = np.where(np.char.startswith(keys, "im"), "extension", "original")
        split = np.full(len(paths), "test" if self.use == "test" else "train")
        grades, exams = grades[gradable], self._examinations(keys)
        table = SampleTable(
            paths, self.encode(grades), split, exams, paths, domains, source_labels=label_matrix(grades)
        )
        if self.use == "all":
            self.hold_out_missing(table, self.test_fraction)
        return table

    def _examinations(self, keys: np.ndarray) -> np.ndarray | None:
        """Examination of each image, named by its first eye; None without a table of pairs."""
        tables = [path for path in sorted(self.folder.rglob("*.csv")) if _is_pairs(path)]
        if not tables:
            log.warning("No messidor-2.csv in %s: eyes of one patient may be in different splits", self.folder)
            return None
        known = set(keys.tolist())
        examination: dict[str, str] = {}
        for line in tables[0].read_text(encoding="utf-8-sig", errors="replace").splitlines():
            # Header, numbers and images without a grade are no names of ours.
            eyes = [key for key in map(image_key, re.split("[;,\t]", line.replace('"', ""))) if key in known]
            examination |= dict.fromkeys(eyes, eyes[0] if eyes else "")
        unpaired = len(known - set(examination))
        if unpaired:
            log.warning("%d images are in no pair of %s", unpaired, tables[0])
        return as_text(examination.get(key, key) for key in keys.tolist())


def _is_pairs(path: Path) -> bool:
    """``messidor-2.csv``, as published, ``messidor_pairs.csv`` and the like."""
    name = re.sub("[^a-z0-9]", "", path.stem.lower())
    return name == "messidor2" or "pairs" in name
