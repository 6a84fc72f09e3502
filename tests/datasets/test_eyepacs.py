import logging

import numpy as np
import pytest
from support.fundus import save_fundus
from support.layouts.eyepacs import build

from transfusion_cli.datasets import EyePACSDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    return build(tmp_path_factory.mktemp("eyepacs"))


@pytest.fixture
def root(tmp_path):
    return build(tmp_path, patients=20, test_patients=4)


def module(root, **kwargs):
    return EyePACSDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def disjoint(table):
    return all(len(set(table.split[table.patients == patient])) == 1 for patient in set(table.patients))


def test_both_eyes_of_a_patient_stay_together(official):
    table = module(official, val_fraction=0.3).samples
    assert (table.split == "val").sum() == 2 * 9 and (table.split == "train").sum() == 2 * 21
    assert table.patients[table.paths == "train/10_left.jpeg"] == table.patients[table.paths == "train/10_right.jpeg"]
    assert disjoint(table)


def test_every_row_is_one_image_with_its_grade(official):
    table = module(official).samples
    assert len(table) == 60 + 16 and not any("train/train" in path for path in table.paths)
    grades = dict(zip(table.paths.tolist(), table.targets.tolist(), strict=True))
    assert (grades["train/10_left.jpeg"], grades["train/10_right.jpeg"]) == (0, 1)
    assert module(official).make_reader("train", (32, 32))(0).ndim == 3


@pytest.mark.parametrize(("usage", "images"), [("both", 16), ("Public", 4), ("Private", 12)])
def test_parts_of_the_official_test(official, usage, images):
    data = module(official, usage=usage)
    test = data.samples.rows("test")
    assert len(test) == images and all(path.startswith("test/") for path in data.samples.paths[test])
    assert data.published["test"] == {"both": 53576, "Public": 10906, "Private": 42670}[usage]


def test_without_the_solution_test_patients_come_from_train_and_test_is_for_prediction(root):
    (root / "retinopathy_solution.csv").unlink()
    data = module(root, test_fraction=0.25)
    table = data.samples
    assert (table.split == "test").sum() == 10 and disjoint(table)
    assert all(path.startswith("train/") for path in table.paths[table.rows("test")])
    predict = table.rows("predict")
    assert len(predict) == 8 and (table.targets[predict] == -1).all()
    assert data.published["class:proliferative"] == 708
    assert np.isnan(module(root, task="referable").samples.targets[predict]).all()


def test_without_the_test_images_the_solution_is_not_used(root, caplog):
    (root / "test").rename(root / "elsewhere")
    with caplog.at_level(logging.WARNING):
        table = module(root).samples
    assert len(table) == 40 and (table.split == "test").sum() == 8
    assert "the test patients are drawn from train/" in caplog.text


def test_protocol_of_the_paper(official):
    data = module(official, protocol="transfusion", test_fraction=0.2)
    table = data.samples
    assert data.target == "multiclass" and len(table) == 60 and disjoint(table)
    assert all(path.startswith("train/") for path in table.paths) and (table.split == "test").sum() == 12
    assert module(official, protocol="transfusion", task="referable").target == "binary"
    assert module(official).target == "ordinal"


def test_other_extensions_and_names_with_extension(root):
    (root / "train/10_left.jpeg").unlink()
    (root / "train/train/10_left.jpeg").unlink()
    save_fundus(root / "train/10_left.PNG", 5)
    labels = root / "trainLabels.csv"
    labels.write_text(labels.read_text().replace("13_left,", "13_left.jpeg,"))
    paths = module(root).samples.paths
    assert "train/10_left.PNG" in paths and "train/13_left.jpeg" in paths


def test_a_missing_image_is_named_and_can_be_left_out(root, caplog):
    (root / "train/13_left.jpeg").unlink()
    data = module(root, verify=True)
    with pytest.raises(UserError, match=r"13_left\.jpeg"):
        data.prepare_data()
    assert "1 of 40 images are not in" in caplog.text
    (root / "out.txt").write_text("train/13_left.jpeg\n")
    module(root, verify=True, exclude=str(root / "out.txt")).prepare_data()


def test_zip_parts_that_were_not_joined(tmp_path):
    (tmp_path / "train.zip.001").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"(?s)still in parts.*cat train\.zip\.0\* > train\.zip && unzip"):
        _ = module(tmp_path).samples


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image,level\n", "name,level\n", "No column 'image'"),
        ("\n10_right", "\n10_rechts", r"'10_rechts' in column 'image', row 3"),
        ("\n10_right,1", "\n10_right,7", r"7 in column 'level', row 3"),
    ],
)
def test_mistakes_in_the_table(root, old, new, message):
    labels = root / "trainLabels.csv"
    labels.write_bytes(labels.read_bytes().replace(b"\r\n", b"\n").replace(old.encode(), new.encode()))
    with pytest.raises(UserError, match=message):
        _ = module(root).samples


def test_an_unknown_usage_is_named_by_its_row(root):
    table = root / "retinopathy_solution.csv"
    table.write_bytes(table.read_bytes().replace(b"Private", b"private ").replace(b",Public", b",Secret"))
    assert len(module(root).samples.rows("test")) == 8
    with pytest.raises(UserError, match=r"'Secret' in column 'Usage', row 2"):
        _ = module(root, usage="Private").samples


def test_missing_data_say_where_to_get_them(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "trainLabels.csv").write_text("image,level\n10_left,0\n")
    for data in (module(tmp_path / "empty"), module(tmp_path), EyePACSDataModule()):
        with pytest.raises(UserError, match=r"(?s)EyePACS.*kaggle\.com/c/diabetic.*trainLabels\.csv and train/"):
            data.setup("fit")
