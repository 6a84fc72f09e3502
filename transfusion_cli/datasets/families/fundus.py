"""What data sets of retinal photographs share."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.tables import codes, require_columns
from transfusion_cli.data.ranges import check_test_fraction
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.datasets.families.fundus_image import FundusProcess
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


class FundusDataModule(ImageFilesDataModule):
    """Photographs of the retina, graded for diabetic retinopathy (DR).

    Args:
        task: ``grade`` for the ordered grades, ``referable`` for grade 2 and above against the rest.
        circle_crop: cut each image to the square around its bright disc, so that the retina is as large in all of them.
        local_average: take the local average of the colours away (B. Graham 2015): the width of the Gaussian in
            units of the disc's radius, 0.033 as in that report. Null keeps the colours.
        test_fraction: share of the patients (or images) held out for the test where the data have no test split.
        kwargs: as for ``MedicalDataModule``.
    """

    target: Target = "ordinal"
    class_names = ["no DR", "mild", "moderate", "severe", "proliferative"]
    """The grades, from 0 on."""

    in_chans = 3
    default_augmentation = "mirror"

    def __init__(
        self,
        task: Literal["grade", "referable"] = "grade",
        circle_crop: bool = True,
        local_average: float | None = None,
        test_fraction: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if local_average is not None and local_average <= 0:
            raise UserError(f"local_average must be more than 0, got {local_average}\nTry --data.local_average 0.033")
        check_test_fraction(test_fraction)
        self.task, self.circle_crop, self.local_average = task, circle_crop, local_average
        self.test_fraction = test_fraction
        if task == "referable":
            self.target, self.class_names = "binary", ["not referable", "referable"]

    def by_class(self, *grades: int) -> dict[str, int]:
        """Published counts of the classes, from those of the five grades."""
        counts = grades if self.task == "grade" else (sum(grades[:2]), sum(grades[2:]))
        return {f"class:{name}": count for name, count in zip(self.class_names, counts, strict=True)}

    def file_reader(self, folder: "Path", paths: np.ndarray, size: tuple[int, ...] | None) -> FileReader:
        """Read files and prepare them; decoded large enough for a disc of half the image's side."""
        if size is None or not (self.circle_crop or self.local_average):
            return super().file_reader(folder, paths, size)
        twice = 2 * size[0], 2 * size[1]
        process = FundusProcess(self.circle_crop, self.local_average, max(twice))
        return FileReader(folder, paths, self.in_chans, at_least=twice, process=process)

    def encode(self, grades: np.ndarray) -> np.ndarray:
        """Targets of grades (N,), -1 where unknown: int64 (N,), or float32 (N, 1) for referable DR."""
        if self.target != "binary":
            return grades
        return np.where(grades < 0, np.nan, grades >= 2).astype(np.float32)[:, None]

    def read_grades(self, frame: "pd.DataFrame", column: str, path: "Path", highest: int = 4) -> np.ndarray:
        """Grades of a column (N,), from 0 to ``highest``, -1 where blank.

        Raises:
            UserError: no such column, or what is no grade.
        """
        require_columns(frame, [column], path)
        values = codes(frame, column, path, range(highest + 1), f"0 to {highest}, or blank where unknown")
        return np.asarray(np.nan_to_num(values, nan=-1).astype(np.int64))
