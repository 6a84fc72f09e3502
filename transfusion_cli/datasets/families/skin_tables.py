"""Finding and reading the tables and files of the International Skin Imaging Collaboration (ISIC)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.data.layout.tables import read_table, refuse, require_columns
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "UNK"
"""Column of ISIC's tables for what is none of the classes; no training image has it."""


def find_table(folder: Path, name: str) -> Path | None:
    """A table with or without a suffix, in the folder or in a folder of its own name, as archives unpack."""
    ways = (f"{name}.csv", f"{name}/{name}.csv", f"{name}.tab", name)
    return next((folder / way for way in ways if (folder / way).is_file()), None)


def find_images(folder: Path, places: Sequence[str]) -> pd.DataFrame:
    """Name and path of all images at places below a folder; of several with one name, the first place's."""
    import pandas as pd

    paths = [f"{place}/{path}" if place else path for place in places for path in image_files(folder / place)]
    frame = pd.DataFrame({"path": pd.Series(paths, dtype="str")})
    return frame.assign(name=plain_names(frame["path"])).drop_duplicates("name")


def plain_names(names: pd.Series[str]) -> pd.Series[str]:
    """Image names without folder and suffix, and without the ``_downsampled`` of some names of ISIC 2019."""
    return names.astype("str").str.strip().str.replace(r"^.*/|(_downsampled)?(\.[A-Za-z]+)?$", "", regex=True)


def read_diagnoses(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Name, target (-1 for ``UNK``), group and domain of each image of a table of diagnoses.

    Reads ISIC's tables, with a column for each class and a single 1 in a row, and those of HAM10000, with ``image_id``,
    ``dx``, ``lesion_id`` and, in one of its two variants, ``dataset``.

    Raises:
        UserError: a missing column, an unknown diagnosis, an image twice, or not exactly one 1 in a row.
    """
    frame = read_table(path)
    if "dx" in frame.columns:
        column = "image_id"
        require_columns(frame, [column, "lesion_id"], path)
        given = frame["dx"].astype("str").str.strip().str.lower()
        codes = given.map({name.lower(): code for code, name in enumerate(classes)})
        refuse(codes.isna().to_numpy(), frame["dx"], "dx", path, ", ".join(classes))
        told = frame.reindex(columns=["lesion_id", "dataset"]).set_axis(["group", "domain"], axis=1)
        told["target"] = codes.astype("int64")
    else:
        column = "image"
        told = frame[[]].assign(target=_one_hot(frame, classes, path), group=None, domain=None)
    names = plain_names(frame[column])
    refuse(names.duplicated().to_numpy(), frame[column], column, path, "each image once")
    return told.assign(name=names)


def _one_hot(frame: pd.DataFrame, classes: Sequence[str], path: Path) -> np.ndarray:
    import pandas as pd

    frame = frame.rename(columns={name: name.upper() for name in frame.columns if name != "image"})
    columns = [*(name.upper() for name in classes), *([UNKNOWN] if UNKNOWN in frame.columns else [])]
    require_columns(frame, ["image", *columns], path)
    values = frame[columns].apply(pd.to_numeric, errors="coerce").to_numpy()
    bad = ~(((values == 0) | (values == 1)).all(axis=1) & (np.nansum(values, axis=1) == 1))
    if bad.any():
        row = int(bad.argmax())
        raise UserError(
            f"{bad.sum()} rows have not exactly one 1 and else 0, for example row {row + 2}, {frame['image'][row]}\n"
            f"in {path}\nIts columns: {', '.join(columns)}"
        )
    codes = values.argmax(axis=1)
    return np.where(codes < len(classes), codes, -1)
