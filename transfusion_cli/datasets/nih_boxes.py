"""The radiologists' boxes of NIH ChestX-ray14."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transfusion_cli.data.layout.tables import refuse
from transfusion_cli.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

BOXED = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
)
"""The findings that have boxes."""

COLUMNS = ["image", "finding", "x", "y", "width", "height"]


def read_boxes(path: Path) -> pd.DataFrame:
    """Read ``BBox_List_2017.csv``: 984 boxes on 880 images.

    Its header, ``Image Index,Finding Label,Bbox [x,y,w,h],,,``, has commas within brackets and three empty columns, so
    columns are taken by their place; its ``Infiltrate`` is the label ``Infiltration``.

    Args:
        path: The file.

    Returns:
        One row per box: ``image`` (file name), ``finding``, and ``x``, ``y`` of the upper left corner, ``width`` and
        ``height`` in pixels of the 1024 x 1024 image.

    Raises:
        UserError: No such file, another header, an unknown finding or a box that is no box.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, index_col=False)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the boxes {path}\n{str(error).splitlines()[0]}") from error
    if list(frame.columns[:2]) != ["Image Index", "Finding Label"] or len(frame.columns) < len(COLUMNS):
        raise UserError(f"no list of boxes: {path}\nIts header should be: Image Index,Finding Label,Bbox [x,y,w,h],,,")
    frame = frame.iloc[:, : len(COLUMNS)].set_axis(COLUMNS, axis=1)
    frame["finding"] = frame["finding"].replace("Infiltrate", "Infiltration")
    refuse(~frame["finding"].isin(BOXED).to_numpy(), frame["finding"], "Finding Label", path, ", ".join(BOXED))
    for column in COLUMNS[2:]:
        values = pd.to_numeric(frame[column], errors="coerce")
        good = values > 0 if column in ("width", "height") else values >= 0
        refuse(~good.to_numpy(), frame[column], f"Bbox {column}", path, "pixels")
        frame[column] = values.astype("float64")
    return frame
