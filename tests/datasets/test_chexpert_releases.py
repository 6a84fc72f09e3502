import shutil

import numpy as np
import pandas as pd
import pytest
from support.chexpert import build_chexpert
from support.layouts.chexpert import BATCHES, FIRST, RELEASE, build

from transfusion_cli.datasets import CheXpertDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("full"))


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def module(root, **kwargs):
    return CheXpertDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def test_full_release_is_the_small_one_in_other_folders(root, tmp_path):
    small = module(build_chexpert(tmp_path / "small", patients=48, test_patients=8, size=32))
    for place in (root, root / RELEASE, root / RELEASE / FIRST):
        full = module(place)
        assert full.split_hash == small.split_hash
        np.testing.assert_array_equal(full.samples.ids, small.samples.ids)
        assert all((full.folder / path).is_file() for path in full.samples.paths)
    assert {str(path).split("/")[0] for path in full.samples.paths} == {FIRST, *BATCHES}
    np.testing.assert_array_equal(full.make_reader("train", full.size)(40), small.make_reader("train", small.size)(40))


@pytest.mark.parametrize("wrapped", [True, False])
def test_batches_may_be_wrapped_or_merged(copy, wrapped):
    """Each batch with a folder ``train``, or all patients in one such folder beside the tables."""
    release = copy / RELEASE
    expected = module(copy).split_hash
    for name in BATCHES:
        target = release / name / "train" if wrapped else release / "train"
        target.mkdir(exist_ok=True)
        for patient in (release / name).glob("patient*"):
            patient.rename(target / patient.name)
    if not wrapped:
        for path in (release / FIRST).iterdir():
            path.rename(release / path.name)
    data = module(copy)
    assert data.split_hash == expected
    assert all((data.folder / path).is_file() for path in data.samples.paths)


def test_looks_at_no_single_image(root, monkeypatch):
    from pathlib import Path

    asked = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **kwargs: asked.append(self.name) or stat(self, **kwargs))
    _ = module(root).samples
    assert asked and not [name for name in asked if name.startswith("patient") or name.endswith(".jpg")]


def test_a_batch_that_is_not_unpacked(copy):
    shutil.rmtree(copy / RELEASE / BATCHES[1])
    with pytest.raises(UserError, match=r"\d+ of \d+ images are missing, for example 'train/patient00017/"):
        _ = module(copy).samples


def test_labels_of_other_labelers(root):
    frame = pd.read_csv(root / RELEASE / FIRST / "train.csv")
    uncertain = (frame["Edema"] == -1).to_numpy()
    for labeler, value in (("chexbert", 1), ("visualchexbert", 0)):
        table = module(root, labeler=labeler, labels=["Edema"], views="all").samples
        assert (table.targets[: len(frame)][uncertain] == value).all()
        assert len(table.rows("test")) == len(pd.read_csv(root / RELEASE / FIRST / "valid.csv"))


def test_a_labeler_whose_table_is_absent(tmp_path):
    build_chexpert(tmp_path, patients=4, test_patients=2, size=8)
    with pytest.raises(UserError, match=r"(?s)no train_cheXbert.csv in.*stanfordmlgroup"):
        _ = module(tmp_path, labeler="chexbert").samples


@pytest.mark.parametrize("views", ["frontal", "lateral", "all"])
def test_official_test_set(root, views):
    data = module(root, test_set="chexlocalize", views=views)
    table = data.samples
    assert all(name.startswith("test/patient647") for name in table.ids[table.rows("test")])
    assert len(table.rows("test")) == (12 if views == "all" else 6)
    valid = pd.read_csv(root / RELEASE / FIRST / "valid.csv")["Path"].str.removeprefix("CheXpert-v1.0/")
    assert set(table.ids[table.rows("val")]) == {name for name in valid if views == "all" or views in name}
    assert len(set(table.patients[table.rows("train")])) == 48  # all of train.csv
    data.setup("test")
    assert sum(len(batch["index"]) for batch in data.test_dataloader()) == len(table.rows("test"))


def test_validation_table_of_chexlocalize_in_place_of_valid_csv(copy):
    (copy / RELEASE / FIRST / "valid.csv").unlink()
    folder = copy / "chexlocalize" / "CheXpert"
    names = pd.read_csv(folder / "val_labels.csv")["Path"]
    data = module(copy, test_set="chexlocalize", views="all")
    assert set(data.samples.ids[data.samples.rows("val")]) == set(names)
    shutil.rmtree(copy / "chexlocalize")
    with pytest.raises(UserError, match=r"no valid.csv"):
        _ = module(copy, test_set="chexlocalize").samples


def test_official_test_set_that_is_absent(tmp_path):
    build_chexpert(tmp_path, patients=4, test_patients=2, size=8)
    with pytest.raises(UserError, match=r"no test_labels.csv in .*\nGet CheXlocalize .*\n.*--data.test_set valid"):
        _ = module(tmp_path, test_set="chexlocalize").samples


def test_studies_are_exams(root):
    table = module(root, views="all").samples
    for exam in set(table.exams):
        rows = table.exams == exam
        assert len({name.rpartition("/")[0] for name in table.ids[rows]}) == 1
        assert np.array_equal(*np.broadcast_arrays(table.targets[rows], table.targets[rows][:1]), equal_nan=True)
    assert (np.unique(table.exams, return_counts=True)[1] == 2).any()
    assert "patient00001/study2" in table.exams
