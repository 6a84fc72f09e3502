import logging
import os

import pytest
from support.images import save_picture

from transfusion_cli.data.layout.class_folders import class_folders
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.errors import UserError


def tree(root, *places, images=2):
    for place in places:
        for number in range(images):
            save_picture(root / place / f"{place.replace('/', '_')}{number}.png", number, (4, 4))
    return root


@pytest.fixture
def told(caplog):
    """What the log says of a tree."""

    def read(root):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = class_folders(root)
        return found, [record.getMessage().removeprefix(f"{root}: ") for record in caplog.records]

    return read


def test_what_systems_leave_behind_is_nothing(tmp_path, told):
    root = tree(tmp_path, "sick", "well", ".git/x", "__MACOSX/sick", "sick/__MACOSX", "well/.thumbnails")
    for name in (".DS_Store", "._x.png", "Thumbs.db", "desktop.ini", "sick/._sick0.png", "sick/.DS_Store"):
        (root / name).touch()
    found, said = told(root)
    assert sorted(set(found.classes)) == ["sick", "well"] and len(found.paths) == 4 and found.split is None
    assert said == []


def test_images_without_a_class_are_told(tmp_path, told):
    root = tree(tmp_path, "sick", "well", "test", "")
    found, said = told(root)
    assert sorted(set(found.classes)) == ["sick", "well"] and len(found.paths) == 4
    assert said == [
        "images passed over in no folder: 2 (no folder tells their class)",
        "images passed over in test: 2 (no folder tells their class)",
    ]


def test_a_split_without_train_is_told(tmp_path, told):
    root = tree(tmp_path, "sick", "well", "test/sick", "test/well")
    found, said = told(root)
    assert len(found.paths) == 4 and found.split is None
    assert said == ["images passed over in test: 4 (there is no folder train beside it)"]


def test_splits_above_classes(tmp_path, told):
    root = tree(tmp_path, "train/sick", "train/well", "Valid/sick/deep/er", "test", "extra/sick", "")
    found, said = told(root)
    assert sorted(zip(found.split, found.classes, strict=True)) == [
        *[("train", "sick")] * 2,
        *[("train", "well")] * 2,
        *[("val", "sick")] * 2,
    ]
    assert said == [
        "images passed over in no folder: 2 (no folder tells their class)",
        "images passed over in extra: 2 (they lie beside train)",
        "images passed over in test: 2 (no folder tells their class)",
    ]


def test_splits_below_classes(tmp_path, told):
    root = tree(tmp_path, "sick/train", "sick/test", "well/train", "well/val/a", "well/other", "well", "test")
    found, said = told(root)
    assert sorted(set(zip(found.classes, found.split, strict=True))) == [
        ("sick", "test"),
        ("sick", "train"),
        ("well", "train"),
        ("well", "val"),
    ]
    assert len(found.paths) == 8
    places = ("test", "well", "well/other")
    assert said == [f"images passed over in {place}: 2 (no folder tells their split)" for place in places]


def test_splits_in_some_classes_are_none(tmp_path, told):
    found, said = told(tree(tmp_path, "sick/train", "sick/test", "well"))
    assert found.split is None and len(found.paths) == 6
    assert said == ["folders called train make no split, because there is none in well"]


@pytest.mark.parametrize("above", ["", "train/"])
def test_empty_classes_are_told(tmp_path, told, above):
    root = tree(tmp_path, f"{above}sick", f"{above}well")
    (root / above / "other").mkdir()
    (root / above / "volumes").mkdir()
    (root / above / "volumes" / "a.nii.gz").touch()
    assert told(root)[1] == [f"there is no image in {above}other, {above}volumes"]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["sick"], r"at least two classes, found \['sick'\]\nin .*\nExpected <class>/<image>"),
        (["mine/sick", "mine/well"], r"found \['mine'\]\nin .*\nIts folders are sick, well: --data.root '.*a b/mine'"),
        (["mine/train/sick", "mine/train/well", "mine/test/well"], r"found \['mine'\]\n.*\nIts folders are test"),
        (["train/sick", "test/sick"], r"found \['sick'\]\n.*\nExpected"),
        ([""], r"No images in class folders of .*\nExpected"),
        (["train"], r"No images in class folders of .*\nExpected"),
    ],
)
def test_no_two_classes(tmp_path, places, message):
    root = tree(tmp_path / "a b", *places)
    with pytest.raises(UserError, match=message) as error:
        class_folders(root)
    assert len(str(error.value).splitlines()) <= 3


def test_links_to_folders_are_followed_once(tmp_path, told):
    tree(tmp_path / "store", "sick", "well/inner")
    root = tree(tmp_path / "root", "own")
    (root / "sick").symlink_to(tmp_path / "store/sick")
    (root / "well").mkdir()
    (root / "well/linked").symlink_to(tmp_path / "store/well")
    found, said = told(root)
    assert sorted(found.paths) == [
        *(f"own/own{i}.png" for i in range(2)),
        *(f"sick/sick{i}.png" for i in range(2)),
        *(f"well/linked/inner/well_inner{i}.png" for i in range(2)),
    ]
    assert said == []
    (root / "two_sick").symlink_to(root / "sick")
    (root / "well/again").symlink_to("../own")
    before = found.paths
    found, said = told(root)
    assert sorted(zip(found.paths, found.classes, strict=True))[-2:] == [
        (f"well/linked/inner/well_inner{i}.png", "well") for i in range(2)
    ]
    assert len(found.paths) == len(before)  # no image counts twice, or under two classes
    assert "own/own0.png" in found.paths  # a folder's own name comes before a link's
    assert said == [
        "links to folders that are read by another name, or that hold them, are passed over: two_sick, well/again"
    ]


@pytest.mark.parametrize("target", ["..", ".", "../..", "../sick"])
def test_links_that_lead_in_circles(tmp_path, target, caplog):
    root = tree(tmp_path / "root", "sick", "well")
    tree(tmp_path, "beside")
    (root / "sick/loop").symlink_to(target)
    assert image_files(root) == [f"{place}/{place}{i}.png" for place in ("sick", "well") for i in range(2)]
    assert (
        "links to folders that are read by another name, or that hold them, are passed over: sick/loop" in caplog.text
    )


def test_a_folder_that_is_not_there_holds_nothing(tmp_path, caplog):
    assert image_files(tmp_path / "nowhere") == [] and not caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to the superuser")
def test_folders_that_cannot_be_read_are_told(tmp_path, caplog):
    root = tree(tmp_path, "sick", "well")
    (root / "well").chmod(0)
    try:
        assert len(image_files(root)) == 2
    finally:
        (root / "well").chmod(0o700)
    assert f"Folders cannot be read: {root / 'well'}: Permission denied" in caplog.text
