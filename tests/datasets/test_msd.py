import json

import numpy as np
import pytest
from support.volume_layouts.msd import IDS, build

from transfusion_cli.datasets import MSDDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("msd")
    build(root)
    build(root, "Task01_BrainTumour", ("FLAIR", "T1w"), classes=2)
    return root


def module(root, **kwargs):
    return MSDDataModule(root=str(root), num_workers=0, **kwargs)


@pytest.mark.parametrize("task", ["Task09_Spleen", "task09_spleen", "spleen", "9", "09", 9])
def test_any_task_by_name(root, task):
    data = module(root, task=task)
    assert data.folder == root / "Task09_Spleen"
    assert data.class_names == ["ball"] and data.modality == ["CT"] and data.in_chans == 1


def test_the_folder_of_a_task_itself(root):
    assert module(root / "Task09_Spleen").samples.ids[0] == "spleen_2"
    assert module(root / "Task09_Spleen", task="spleen").class_names == ["ball"]


def test_a_task_has_to_be_named_where_there_are_several(root):
    said = r"2 tasks in .*: Task01_BrainTumour, Task09_Spleen\n.*--data\.task Task01_BrainTumour"
    with pytest.raises(UserError, match=said):
        _ = module(root).samples
    with pytest.raises(UserError, match=r"no 'splen' in .*\nDid you mean|Choose from"):
        _ = module(root, task="splen").samples


def test_ids_with_gaps_in_the_order_of_their_numbers_and_no_hidden_file(root):
    table = module(root, task="spleen").samples
    assert table.ids.tolist() == [f"spleen_{number}" for number in (*IDS, 1, 7)]
    assert table.patients.tolist() == table.ids.tolist()
    assert not any("._" in path for path in [*table.paths, *table.masks])
    assert (table.split[-2:] == "predict").all()
    assert sorted(set(table.split)) == ["predict", "test", "train", "val"]
    assert (table.split == "test").sum() == 2


def test_draws_do_not_depend_on_the_folder(root, tmp_path):
    place = build(tmp_path / "elsewhere")
    assert module(place).split_hash == module(root, task="spleen").split_hash


def test_channels_lie_in_the_fourth_axis(root):
    data = module(root, task="BrainTumour")
    assert data.in_chans == 2 and data.modality == ["FLAIR", "T1w"] and data.class_names == ["ball", "core"]
    files = data.case_files(data.samples)
    first, second = files.image(0).array.astype(int)
    assert (second - first == 7).all()
    case = data.case_reader("train").whole(0)
    assert case.image.shape[0] == 2 and case.truth.shape == first.shape
    assert set(np.unique(case.truth)) == {0, 1, 2}


def test_another_number_of_channels_than_named(tmp_path):
    place = build(tmp_path, modality=("FLAIR", "T1w"))
    path = place / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"modality": {"0": "CT"}}))
    with pytest.raises(UserError, match=r"have 2 channel\(s\), and these data 1: .*spleen_2\.nii\.gz"):
        module(place).case_reader("train").whole(0)


def test_published_counts_are_those_of_the_file(root):
    assert module(root, task="spleen").published == {"train+val+test": len(IDS)}


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), MSDDataModule()):
        with pytest.raises(UserError, match=r"(?s)MSD: .*medicaldecathlon.*TaskNN_NAME"):
            data.setup("fit")
    place = build(tmp_path)
    for path in place.glob("imagesTr/*"):
        path.unlink()
    with pytest.raises(UserError, match=r"no \*\.nii\.gz in .*imagesTr"):
        _ = module(place).samples
    (place / "dataset.json").write_text('{"labels": {}}')
    with pytest.raises(UserError, match=r"No labels in .*dataset\.json"):
        _ = module(place).samples
