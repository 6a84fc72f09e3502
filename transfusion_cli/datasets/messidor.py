"""Messidor: 1,200 retinal photographs from three French hospitals."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.copies import duplicate_groups
from transfusion_cli.data.layout.locate import image_key, locate
from transfusion_cli.data.layout.tables import read_table, require_columns
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.datasets.families.fundus import FundusDataModule
from transfusion_cli.datasets.families.messidor_errata import COPIES, GRADES
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_ANNOTATION = re.compile(r"annotation[ _]*(base\d\d)\b.*\.xls", re.IGNORECASE)

COLUMNS = {
    "image name": "image",
    "ophthalmologic department": "department",
    "retinopathy grade": "grade",
    "risk of macular edema": "oedema",
}
DEPARTMENTS = {"lariboisi": "Lariboisiere", "etienne": "Saint-Etienne", "brest": "Brest"}
"""Part of each department's name, which the tables spell with and without accents and abbreviations."""


class MessidorDataModule(FundusDataModule):
    """Messidor: retinal photographs of three hospitals, retinopathy grades 0 to 3 and the risk of macular oedema.

    Source: https://www.adcis.net/en/third-party/messidor/
    Licence: research and education only, no redistribution; after registration
    Layout: twelve folders Base11 to Base34, each with 100 *.tif and its Annotation_Base11.xls
    Group: copies of the same image; patients are not known
    Classes: R0, R1, R2, R3; or referable (R2 and R3); or risk 0, risk 1, risk 2 of macular oedema
    Counts: 1,200 images, of which 13 are in Base33 twice
    Cite: Decencière et al. 2014, doi:10.5566/ias.1155

    The grades are Messidor's own, **not** those of the other sets: R1 is one to five microaneurysms, R2 six to fourteen
    or up to four haemorrhages, R3 more of either or new vessels, so that R2 and above is not quite the referable DR of
    the scale from 0 to 4. Test and validation are drawn at random; both eyes of a patient may stand in different
    splits, which no one can tell. Results are also given per department. Most of these images are in Messidor-2 as
    well: do not train on one and test on the other.

    Args:
        task: ``grade`` for R0 to R3, ``referable`` for R2 and R3 against the rest, ``oedema`` for the risk of oedema.
        errata: ``published`` corrects the four grades that the errata on Messidor's page name. A CSV file with the
            columns image and grade (or, with ``task: oedema``, oedema) corrects more, on top of them. Null takes the
            tables as they are.
        kwargs: as for ``FundusDataModule``.
    """

    landmarks = ("[Bb][Aa][Ss][Ee][123][1234]", "Annotation?[Bb]ase[123][1234].xls")
    published = {"images": 1200}
    class_names = ["R0", "R1", "R2", "R3"]

    def __init__(
        self,
        task: Literal["grade", "referable", "oedema"] = "grade",
        errata: str | None = "published",
        **kwargs: Any,
    ) -> None:
        super().__init__(task="grade" if task == "oedema" else task, **kwargs)
        self.column, self._highest = ("oedema", 2) if task == "oedema" else ("grade", 3)
        self.errata = errata
        if task == "oedema":
            self.class_names = ["risk 0", "risk 1", "risk 2"]

    def load_samples(self) -> SampleTable:
        """Read the tables of all folders, correct them, find the images and their copies, and draw the splits."""
        parts = [self._read(base, path) for base, path in sorted(self._annotations().items())]
        paths, values, departments, told = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        names = as_text(image_key(path) for path in paths)
        self._correct(names, values)
        groups = names[duplicate_groups(self.folder, paths, values)]
        for one, other in COPIES:
            same = np.isin(names, [one.lower(), other.lower()])
            if same.sum() > 1:
                groups[np.isin(groups, groups[same])] = np.sort(groups[same])[0]
        split = np.full(len(paths), "train")
        table = SampleTable(paths, self.encode(values), split, groups, paths, departments, source_labels=told)
        self.hold_out_missing(table, self.test_fraction)
        return table

    def _annotations(self) -> dict[str, Path]:
        """Table of each folder, ``base11`` and so on; of several the first by name."""
        found: dict[str, Path] = {}
        for path in sorted(self.folder.rglob("*")):
            match = _ANNOTATION.fullmatch(path.name)
            if match and "__MACOSX" not in path.parts and path.is_file():
                found.setdefault(match[1].lower(), path)
        if not found:
            raise self.absent(f"no Annotation_BaseXX.xls in {self.folder}")
        if len(found) < 12:
            log.warning("Tables of %d of the 12 folders: %s", len(found), ", ".join(sorted(found)))
        return found

    def _read(self, base: str, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Paths, grades (or risks), departments, and both grades and risks as labels, of one folder's table."""
        frame = _read_xls(path)
        frame.columns = [" ".join(str(name).lower().split()) for name in frame.columns]
        require_columns(frame, COLUMNS, path)
        frame = frame[frame["image name"].notna()].rename(columns=COLUMNS).reset_index(drop=True)
        values = self.read_grades(frame, self.column, path, self._highest)
        folders = [folder.name for folder in self.folder.iterdir() if folder.name.lower() == base]
        part = path.parent.relative_to(self.folder).as_posix()
        part = folders[0] if part == "." and folders else part
        paths = locate(self.folder, part, frame["image"].astype("str"), ".tif")
        departments = as_text(frame["department"].fillna("unknown").astype("str").map(_department).to_numpy())
        return paths, values, departments, _labels(frame)

    def _correct(self, names: np.ndarray, values: np.ndarray) -> None:
        if self.errata is None:
            return
        if self.column == "grade":
            for name, grade in GRADES.items():
                values[names == name.lower()] = grade
        if self.errata == "published":
            return
        path = Path(self.errata).expanduser()
        frame = read_table(path)
        require_columns(frame, ["image", self.column], path)
        keys = as_text(image_key(name) for name in frame["image"].astype("str"))
        unknown = keys[~np.isin(keys, names)]
        if len(unknown):
            raise UserError(f"errata: Messidor has no image {str(unknown[0])!r}\nin {path}")
        order = np.argsort(names)
        rows = order[np.searchsorted(names, keys, sorter=order)]
        values[rows] = self.read_grades(frame, self.column, path, self._highest)


def _labels(frame: "pd.DataFrame") -> np.ndarray:
    """Grade and risk as the table has them, bool (N, 8): whichever is asked for, and whatever the errata say."""
    import pandas as pd

    values = frame[["grade", "oedema"]].apply(pd.to_numeric, errors="coerce").to_numpy()
    return np.asarray((values[:, :, None] == np.arange(4)).reshape(len(values), -1))


def _department(name: str) -> str:
    plain = " ".join(name.split())
    return next((known for part, known in DEPARTMENTS.items() if part in plain.lower()), plain)


def _read_xls(path: Path) -> "pd.DataFrame":
    """The first sheet; its first row is the header, and what is empty is missing."""
    import pandas as pd

    try:
        import xlrd  # by itself, since pandas is about to give it up

        sheet = xlrd.open_workbook(path).sheet_by_index(0)
        header, *rows = [sheet.row_values(row) for row in range(sheet.nrows)]
    except ImportError as error:
        raise UserError(f"Messidor's tables are old Excel files\n{path}\nTo read them: pip install xlrd") from error
    except Exception as error:  # a damaged file makes xlrd raise errors of many kinds
        raise UserError(f"Cannot read the table {path}\n{error}") from error
    return pd.DataFrame(rows, columns=header).replace("", None)
