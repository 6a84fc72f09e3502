import logging
from pathlib import Path

import pandas as pd
import pytest

from transfusion_cli.data.layout.columns import find_image_column, require_labels
from transfusion_cli.errors import UserError

PATH = Path("t.csv")
FILES = [f"{i}.png" for i in range(12)]
IDS = [f"x{i}" for i in range(12)]


def frame(**columns):
    return pd.DataFrame({name.replace("__", " "): [str(value) for value in values] for name, values in columns.items()})


@pytest.mark.parametrize(
    "name",
    [
        "image",
        "Image",
        "image_id",
        "Image Index",
        "filename",
        "file_name",
        "image_path",
        "Path",
        "id_code",
        "id",
        "img",
    ],
)
def test_names_that_tell_images(name, caplog):
    with caplog.at_level(logging.INFO):
        assert find_image_column(frame(diagnosis=["a", "b"] * 6, **{name: IDS}), None, PATH) == name
    assert (f"images: column {name}; --data.image_column NAME takes another" in caplog.text) == (name != "image")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"image": IDS, "path": FILES}, "image"),
        ({"image_id": IDS, "path": FILES}, "path"),
        ({"image_id": [1, 1, *range(2, 12)], "filename": IDS}, "filename"),
        ({"id": IDS, "image_name": IDS}, "image_name"),
    ],
)
def test_of_several_the_likeliest(columns, expected):
    assert find_image_column(frame(**columns), None, PATH) == expected


@pytest.mark.parametrize(
    ("columns", "given", "advice"),
    [
        ({"scan": FILES, "label": ["a", "b"] * 6}, None, "scan looks like one (--data.image_column NAME)"),
        ({"scan": FILES, "mask": FILES, "x": IDS}, None, "scan, mask look like one (--data.image_column NAME)"),
        ({"image_id": IDS, "x": IDS}, "picture_of", "image_id looks like one (--data.image_column NAME)"),
        ({"pictures": IDS, "x": IDS}, "picture", "Did you mean pictures? (--data.image_column NAME)"),
        ({"a": IDS, "b": IDS}, None, "Choose from: a, b (--data.image_column NAME)"),
    ],
)
def test_no_such_image_column(columns, given, advice):
    with pytest.raises(UserError) as error:
        find_image_column(frame(**columns), given, PATH)
    assert str(error.value) == f"No column {given or 'image'!r}\nin t.csv\n{advice}"


def test_no_such_label_column():
    table = frame(image=FILES, age=range(12), sex=["f", "m", "m"] * 4, diagnosis=["a", "b", "c", "d"] * 3, Labels=FILES)
    require_labels(table, ["sex", "diagnosis"], ["image"], PATH)
    with pytest.raises(UserError, match=r"No column 'klasse'\n.*\ndiagnosis, sex look like one \(--data.label_columns"):
        require_labels(table, ["sex", "klasse"], ["image"], PATH)
    with pytest.raises(UserError, match=r"No column 'label'\n.*\nDid you mean Labels\? \(--data.label_columns NAME\)"):
        require_labels(table, ["label"], ["image"], PATH)
