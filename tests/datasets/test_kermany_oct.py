import shutil

import numpy as np
import pytest
from support.layouts.kermany_oct import CLASSES, EVERYWHERE, IN_BOTH, build

from transfusion_cli.datasets import KermanyOCTDataModule, kermany_oct
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("kaggle"))


@pytest.fixture(scope="module")
def third(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mendeley"), version=3)


def module(root, **kwargs):
    return KermanyOCTDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


@pytest.mark.parametrize("at", ["", "OCT2017 "])
def test_reads_the_scans_once_and_no_chest(root, at):
    table = module(root / at).samples
    assert len(table) == 4 * (6 * 2 + 1 + 2) + 3 + 4
    assert {path.split("/")[1] for path in table.paths} == set(CLASSES)
    assert (np.array(CLASSES)[table.targets] == [path.split("/")[1] for path in table.paths]).all()


def test_the_chest_alone_is_not_taken_for_it(root):
    with pytest.raises(UserError, match=r"(?s)KermanyOCT: no train/CNV.*mendeley.*CellData/OCT"):
        module(root / "chest_xray").setup("fit")


def test_a_number_is_one_patient_in_all_classes_and_folders(root):
    table = module(root).samples
    images = {patient: set(table.paths[table.patients == patient]) for patient in set(table.patients)}
    assert images[str(EVERYWHERE)] == {f"train/{c}/{c}-{EVERYWHERE}-{k + 1}.jpeg" for k, c in enumerate(CLASSES)}
    assert images["1000"] == {"train/CNV/CNV-1000-1.jpeg", "train/CNV/CNV-1000-2.jpeg", "val/CNV/CNV-1000-9.jpeg"}


def test_training_images_of_test_patients_are_left_out(root, caplog):
    table = module(root).samples
    mine = table.patients == str(IN_BOTH)
    assert dict(zip(table.paths[mine], table.split[mine], strict=True)) == {
        f"train/CNV/CNV-{IN_BOTH}-1.jpeg": "",
        f"train/CNV/CNV-{IN_BOTH}-2.jpeg": "",
        f"val/DME/DME-{IN_BOTH}-9.jpeg": "",
        f"test/DRUSEN/DRUSEN-{IN_BOTH}-3.jpeg": "test",
    }
    assert (table.split == "").sum() == 3
    assert "3 of 58 training images are left out: their 1 patients are in the test set too" in caplog.text


def test_the_val_folder_is_dissolved(root):
    table = module(root, val_fraction=0.25).samples
    official = np.char.startswith(table.paths, "val/")
    assert official.sum() == 4 and set(table.split[official]) <= {"train", "val", ""}
    assert (table.split == "val").sum() > 8
    assert (table.split[np.char.startswith(table.paths, "test/")] == "test").all()


def test_versions_are_told_apart(root, third, tmp_path):
    assert module(root).release == module(root, version=2).release == 2
    assert module(third).release == module(third, version=3).release == 3
    assert module(root).published["test"] == 968 and module(third).published["test"] == 1000
    assert len(module(third).samples) == 4 * (6 * 2 + 1 + 2) + 3
    with pytest.raises(UserError, match=r"Version 3 was asked for, but this is version 2 \(with val/\)"):
        module(root, version=3).setup("fit")
    with pytest.raises(UserError, match=r"Version 2 was asked for, but this is version 3 \(no val/\)"):
        module(third, version=2).setup("fit")
    # Without val/ and without the name that version 3 has, only the user knows.
    shutil.copytree(third / "CellData/OCT", tmp_path / "retina")
    with pytest.raises(UserError, match="Cannot tell whether this is version 2 without its val/ or version 3"):
        module(tmp_path).setup("fit")
    assert module(tmp_path, version=2).release == 2 and module(tmp_path, version=3).release == 3


@pytest.mark.parametrize("options", [{"small": True}, {"protocol": "partial_transfusion"}])
def test_small_subset_keeps_patients_together(root, options, monkeypatch):
    monkeypatch.setattr(kermany_oct, "SMALL", {"train": 20, "val": 5})
    data = module(root, val_fraction=0.2, **options)
    table, whole = data.samples, module(root).samples
    assert [len(table.rows(part)) for part in ("train", "val")] == [20, 5]
    assert np.array_equal(table.rows("test"), whole.rows("test"))
    assert not set(table.patients[table.rows("val")]) & set(table.patients[table.rows("train")])
    assert not data.known_leak


def test_the_paper_validates_on_a_fifth_of_the_patients(root):
    table = module(root, protocol="partial_transfusion", val_fraction=0.5).samples
    patients = {part: len(set(table.patients[table.rows(part)])) for part in ("train", "val")}
    assert patients == {"train": 22, "val": 5}


def test_literal_repeats_the_leaks(root, caplog):
    table = module(root, protocol="partial_transfusion", literal=True).samples
    assert [len(table.rows(part)) for part in ("train", "val", "test")] == [46, 12, 9]
    training = set(table.patients[table.rows("train")])
    assert training & set(table.patients[table.rows("val")])
    assert training & set(table.patients[table.rows("test")])
    assert "validation is drawn by image, and patients of the test set stay in training" in caplog.text
    with pytest.raises(UserError, match="partial_transfusion"):
        module(root, literal=True)


def test_white_margins_are_trimmed(root):
    data = module(root)
    row = data.samples.paths.tolist().index("train/CNV/CNV-1001-2.jpeg")
    assert data.make_reader("train", data.size)(row).shape == (48, 64)
    trimmed = module(root, trim_borders=True)
    assert trimmed.make_reader("train", trimmed.size)(row).shape == (40, 48)
    assert trimmed.make_reader("train", None)(row).shape == (48, 64)
    assert next(iter(trimmed.train_dataloader()))["image"].shape == (8, 1, 32, 32)


def test_missing_parts_say_where_to_get_them(root, tmp_path):
    shutil.copytree(root / "OCT2017 " / "train", tmp_path / "train")
    (tmp_path / "val").mkdir()
    for data in (module(tmp_path / "nowhere"), module(tmp_path), KermanyOCTDataModule()):
        with pytest.raises(UserError, match=r"(?s)KermanyOCT.*mendeley.*\{train,val,test\}"):
            data.setup("fit")
