import json
import logging

import numpy as np
import pytest
from support.volume_layouts import msd
from support.volume_layouts.datalist import build

from transfusion_cli.datasets import DatalistDataModule
from transfusion_cli.errors import UserError

LABELS = {"0": "background", "1": "ball", "2": "core"}


def module(path, **kwargs):
    return DatalistDataModule(datalist=str(path), num_workers=0, **kwargs)


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_paths_start_in_the_folder_of_the_list(tmp_path):
    path = build(tmp_path / "here", labels=LABELS)
    data = module(path)
    assert data.folder == path.parent and data.class_names == ["ball", "core"] and data.in_chans == 1
    table = data.samples
    assert table.ids[:2].tolist() == ["data/subject0/ct.nii.gz", "data/subject1/ct.nii.gz"]
    assert (table.split[-2:] == ["test", "predict"]).all()
    assert set(np.unique(data.case_reader("train").whole(0).truth)) == {0, 1, 2}
    path.rename(tmp_path / "list.json")
    moved = module(tmp_path / "list.json", root=str(tmp_path / "here"))
    assert moved.case_reader("train").whole(0).truth.any()
    below = module("here/datalist.json", root=str(tmp_path))
    (tmp_path / "list.json").rename(tmp_path / "here/datalist.json")
    assert below.file == tmp_path / "here/datalist.json"


def test_folds(tmp_path):
    path = build(tmp_path, labels=LABELS)
    for fold in range(3):
        table = module(path, fold=fold).samples
        held_out = [f"data/subject{number}/ct.nii.gz" for number in range(9) if number % 3 == fold]
        assert table.ids[table.split == "val"].tolist() == held_out
        assert (table.split == "train").sum() == 6
    table = module(path, fold=1, held_out="test").samples
    assert (table.split == "test").sum() == 4 and len(table.rows("val"))
    with pytest.raises(UserError, match=r"No entry of fold 3 in .*\nIt has \[0, 1, 2\]"):
        _ = module(path, fold=3).samples


def test_a_validation_list(tmp_path):
    path = build(tmp_path, labels=LABELS)
    told = json.loads(path.read_text())
    edit(path, training=told["training"][:6], validation=told["training"][6:])
    assert (module(path).samples.split == "val").sum() == 3


def test_channels_in_several_files(tmp_path):
    data = module(build(tmp_path, channels=2, labels=LABELS))
    assert data.in_chans == 2
    assert data.case_reader("train").whole(0).image.shape[0] == 2


def test_labels_are_named_by_the_list_or_by_option(tmp_path):
    path = build(tmp_path)
    with pytest.raises(UserError, match=r"No labels in .*\n.*--data\.labels"):
        _ = module(path).class_names
    assert module(path, labels={"ball": 1, "core": 2}).class_names == ["ball", "core"]


def test_patients(tmp_path, caplog):
    path = build(tmp_path, labels=LABELS)
    table = module(path, patient_pattern=r"subject(\d+)").samples
    assert set(table.patients) == {str(number) for number in [*range(9), 101, 102]}
    told = json.loads(path.read_text())
    for part in ("training", "test"):
        for number, entry in enumerate(told[part]):
            entry["patient"] = f"{part}{number // 2}"
    edit(path, **told)
    assert set(module(path).samples.patients[:4]) == {"training0", "training1"}
    for number in range(9):
        told["training"][number].pop("patient")
        (tmp_path / f"s{number // 2}_{number}.nii.gz").symlink_to(tmp_path / told["training"][number]["image"])
        told["training"][number]["image"] = f"s{number // 2}_{number}.nii.gz"
    edit(path, **told)
    with caplog.at_level(logging.WARNING):
        assert module(path).samples.patients is None
    assert "--data.patient_pattern" in caplog.text


def test_a_list_of_the_decathlon(tmp_path):
    place = msd.build(tmp_path)
    data = module(place / "dataset.json")
    assert data.class_names == ["ball"] and data.modality == ["CT"]
    assert (data.samples.split == "predict").sum() == 2
    assert data.case_reader("train").whole(0).truth.max() == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"training": []}, "No cases for training"),
        ({"training": [{"label": "a"}]}, r"Cannot read training\[0\]: \{'label': 'a'\}"),
        ({"training": [{"image": [], "label": "a"}]}, r"Cannot read training\[0\]"),
        ({"training": [{"image": "a", "label": ["b", "c"]}]}, r"Cannot read training\[0\]"),
        ({"training": [{"image": "a", "label": "b", "fold": "x"}]}, r"Cannot read training\[0\]"),
        ({"training": [{"image": "a", "label": "b"}] * 2}, "2 cases are called 'a'"),
    ],
)
def test_what_is_no_list(tmp_path, changes, says):
    path = build(tmp_path, cases=3, labels=LABELS)
    edit(path, **changes)
    with pytest.raises(UserError, match=says):
        _ = module(path).samples
