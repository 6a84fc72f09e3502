"""Finding a data set's folder and its files."""

import pytest

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.errors import UserError


class SomeDataModule(ImageFilesDataModule):
    """Some data.

    Source: https://some.where
    Licence: CC0
    Layout: table.csv and images/
    Group: patient
    """

    landmarks = ("table.csv", "images/*.png")


@pytest.mark.parametrize("above", ["", "one", "one/two"])
@pytest.mark.parametrize("landmark", ["table.csv", "images/1.png"])
def test_the_folder_is_found_from_up_to_two_levels_above(tmp_path, above, landmark):
    folder = tmp_path / above
    (folder / landmark).parent.mkdir(parents=True, exist_ok=True)
    (folder / landmark).write_text("")
    assert SomeDataModule(root=str(tmp_path)).folder == folder


def test_the_highest_one_counts(tmp_path):
    (tmp_path / "copy").mkdir()
    for path in ("copy/table.csv", "table.csv"):
        (tmp_path / path).write_text("")
    assert SomeDataModule(root=str(tmp_path)).folder == tmp_path


@pytest.mark.parametrize("root", [None, "nowhere", "."])
def test_what_is_missing_and_where_to_get_it(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        _ = SomeDataModule(root=root).folder
    first, *rest = str(error.value).splitlines()
    assert first.startswith("Some: ") and ("table.csv" in first or root != ".")
    assert rest == ["Get it from https://some.where", "Then --data.root DIR, where DIR holds table.csv and images/"]


def test_image_files_pass_over_what_archives_leave_behind(tmp_path):
    junk = ("a/._c.JPG", "__MACOSX/a/c.jpg", ".cache/d.png", "a/Thumbs.db", "f.csv")
    for name in ("b.png", "a/c.JPG", "a/e.tif", *junk):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")
    assert image_files(tmp_path) == ["a/c.JPG", "a/e.tif", "b.png"]
    assert image_files(tmp_path, {".tif"}) == ["a/e.tif"]
