import os

import numpy as np
import pytest

from transfusion_cli.data.layout.find_files import as_written, find_files
from transfusion_cli.data.samples import as_text


def tree(root, *files):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture
def root(tmp_path):
    return tree(tmp_path / "images", *(f"train/p{i}/View{i}.PNG" for i in range(12)))


NAMES = {
    "ending left out": "train/p{}/View{}",
    "letter case": "Train/P{}/view{}.png",
    "backslashes": "train\\p{}\\View{}.PNG",
    "first folders left out": "p{}/View{}.PNG",
    "id": "view{1}",
    "begins with the root": "images/train/p{}/View{}.PNG",
    "whole path of Windows": "C:\\Users\\me\\my images\\train\\p{}\\View{}.PNG",
    "whole path of a share": "\\\\server\\share\\train\\p{}\\View{}.PNG",
    "whole path, last name alone": "/data/old/View{1}.png",
    "dots": "./train//p{}/View{}.PNG",
}


@pytest.mark.parametrize("form", NAMES.values(), ids=NAMES)
def test_files_are_found(root, form):
    names = as_text(form.format(i, i) for i in range(12))
    if not form.startswith("./"):  # the system itself understands this one
        assert not as_written(root, names)
    found = find_files(root, names)
    assert found.found.all()
    assert found.paths.tolist() == [f"train/p{i}/View{i}.PNG" for i in range(12)]
    assert found.example == (names[0], "train/p0/View0.PNG")


GUESSES = {
    "other ending": "train/p{}/View{}.dcm",
    "folder that is not there": "elsewhere/View{1}.PNG",
}


@pytest.mark.parametrize("form", GUESSES.values(), ids=GUESSES)
def test_what_may_be_other_images_is_only_guessed(root, form):
    """Masks have the names of images, and images of two hospitals the same numbers."""
    names = as_text(form.format(i, i) for i in range(12))
    found = find_files(root, names)
    assert not found.found.any() and found.paths.tolist() == names.tolist()
    assert find_files(root, names, guess=True).found.all()


def test_two_images_never_become_one(root):
    names = as_text([f"/old/{side}/View{i}.PNG" for i in range(12) for side in ("left", "right")])
    assert not find_files(root, names).found.any()
    assert not find_files(root, as_text(["View1", "view1"])).found.any()


def test_names_that_fit_several_files_are_found_in_none(tmp_path):
    root = tree(tmp_path, "images/1.png", "masks/1.png", "images/2.png", "masks/3.png", "images/4.png", "images/4.jpg")
    found = find_files(root, as_text(["1", "2", "3", "4", "4.jpg"]))
    assert found.found.tolist() == [False, True, True, False, True]
    assert found.doubt == ["images/1.png", "masks/1.png"]


def test_some_are_found(root):
    found = find_files(root, as_text(["View3", "View99", "View4"]))
    assert found.found.tolist() == [True, False, True] and found.paths[1] == "View99"


def test_nothing_is_looked_for_where_the_table_is_right(root, monkeypatch):
    names = as_text([*(f"missing{i}.png" for i in range(50)), "train/p3/View3.PNG"])
    monkeypatch.setattr(os, "walk", None)
    assert as_written(root, names)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "../" * 400, "", "C:", "/", "\\\\"])
def test_names_that_no_file_can_have(root, name):
    names = as_text([name, "View1"])
    assert not as_written(root, names)
    assert find_files(root, names, guess=True).found.tolist() == [False, True]


def test_empty(tmp_path):
    assert find_files(tmp_path, as_text(["a", "b"])).paths.tolist() == ["a", "b"]
    assert not len(find_files(tmp_path, np.array([], dtype=str)).paths)
