"""Files of images that a table names in its own way."""

import pytest
from support.images import save_picture

from transfusion_cli.data.layout.locate import image_key, locate


@pytest.mark.parametrize("name", ["20_Left", "20_left.JPEG", " a/b/20_left.png ", r"a\20_LEFT.tif"])
def test_a_name_without_case_folder_and_extension(name):
    assert image_key(name) == "20_left"


def test_a_point_that_begins_no_extension_stays():
    assert image_key("1.2.840.7") == "1.2.840.7"


def test_finds_files_by_name_below_a_folder(tmp_path, caplog):
    for file in ("train/a.JPG", "train/deep/b.png", "train/deep/a.png", "other/c.png"):
        save_picture(tmp_path / file, 0)
    names = ["B", "a.jpeg", "c"]
    assert locate(tmp_path, "train", names, ".png").tolist() == ["train/deep/b.png", "train/a.JPG", "train/c.png"]
    assert "1 of 3 images are not in" in caplog.text and "for example c" in caplog.text
    assert locate(tmp_path, ".", ["c"], ".png").tolist() == ["other/c.png"]
    assert locate(tmp_path, "nowhere", ["c.png"], ".tif").tolist() == ["nowhere/c.tif"]
