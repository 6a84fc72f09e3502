import json
import logging

import numpy as np
import pytest
from support.volume_layouts.nnunet import NAMES, build, split_in_folds

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.datasets import NNUNetDataModule
from transfusion_cli.errors import UserError

PATIENT = r"(patient\d+)_"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nnunet"))


def module(root, **kwargs):
    return NNUNetDataModule(root=str(root), num_workers=0, **{"patient_pattern": PATIENT} | kwargs)


def edit(place, **changes):
    path = place / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def whole(data, name):
    row = data.samples.ids.tolist().index(name)
    return data.case_reader("train").whole(row)


@pytest.mark.parametrize("up", [0, 1])
def test_reads_every_case_and_no_hidden_file(place, up):
    data = module(place.parents[up - 1] if up else place)
    table = data.samples
    assert table.ids.tolist() == [*NAMES, "patient101_frame01", "patient102_frame01"]
    assert not any("._" in path for path in [*table.paths, *table.masks])
    assert data.class_names == ["ball", "core"] and data.target == "mask" and data.regions is None
    assert data.in_chans == 1 and data.dims == 3
    for row in range(len(table)):
        case = data.case_reader("train").whole(row)
        assert case.image.shape[0] == 1 and set(np.unique(case.truth)) <= {0, 1, 2}


def test_patients_do_not_part(place):
    table = module(place, val_fraction=0.3).samples
    assert set(table.split) == {"train", "val", "test"}
    assert (table.split[-2:] == "test").all()
    for patient in set(table.patients):
        assert len(set(table.split[table.patients == patient])) == 1


def test_a_test_is_drawn_where_none_has_masks(tmp_path):
    place = build(tmp_path, masked=False)
    table = module(place, test_fraction=0.3, val_fraction=0.2).samples
    assert (table.split[-2:] == "predict").all()
    assert set(table.patients[table.split == "test"]).isdisjoint(table.patients[table.split == "train"])
    assert len(set(table.patients[table.split == "test"])) == 2
    assert not len(module(place, test_fraction=0).samples.rows("test"))


def test_an_empty_mask_is_a_case(place):
    assert not whole(module(place), NAMES[1]).truth.any()


def test_a_volume_that_runs_the_other_way_reads_as_the_others(tmp_path):
    place = build(tmp_path)
    before = whole(module(place), NAMES[2])
    import nibabel
    from support.niftis import AFFINE, save_nifti

    for path in (place / f"imagesTr/{NAMES[2]}_0000.nii.gz", place / f"labelsTr/{NAMES[2]}.nii.gz"):
        save_nifti(path, np.asarray(nibabel.load(path).dataobj)[::-1], AFFINE)
    after = whole(module(place), NAMES[2])
    assert (before.truth == after.truth).all()
    assert np.array_equal(before.image, after.image)


def test_labels_with_a_scale_are_rounded(place):
    import nibabel

    stored = nibabel.load(place / f"labelsTr/{NAMES[3]}.nii.gz").get_fdata()
    assert not (stored == stored.round()).all()
    truth = whole(module(place), NAMES[3]).truth
    assert set(np.unique(truth)) == {0, 1, 2}
    assert (np.bincount(truth.ravel()) == np.bincount(stored.round().astype(int).ravel())).all()


def test_channels_are_files(tmp_path):
    place = build(tmp_path, channels=("CT", "PET"))
    data = module(place)
    assert data.in_chans == 2 and data.modality == ["CT", "PET"]
    assert whole(data, NAMES[0]).image.shape[0] == 2
    (place / f"imagesTr/{NAMES[4]}_0001.nii.gz").unlink()
    with pytest.raises(UserError, match=rf"Case '{NAMES[4]}' of imagesTr has the channels _0000\n.*\n.* names 2"):
        _ = module(place).samples


def test_regions_and_what_is_to_be_ignored(tmp_path):
    place = build(tmp_path, labels={"background": 0, "whole": [1, 2], "core": [2], "ignore": 3})
    data = module(place)
    assert data.target == "regions" and data.class_names == ["whole", "core"] and data.regions == [[1, 2], [2]]
    edit(place, labels={"background": 0, "ball": 1, "ignore": 2})
    data = module(place)
    assert data.class_names == ["ball"]
    assert set(np.unique(whole(data, NAMES[0]).truth)) == {0, 1, IGNORE}


def test_labels_by_option(place):
    data = module(place, labels={"whole": [1, 2], "core": 2})
    assert data.target == "regions" and data.regions == [[1, 2], [2]]
    data = module(place, labels={"background": [0, 1], "core": 2})
    assert data.class_names == ["core"]
    assert whole(data, NAMES[0]).truth.max() == 1


def test_other_values_than_labels(tmp_path):
    place = build(tmp_path, labels={"background": 0, "ball": 1})
    with pytest.raises(UserError, match=rf"A mask holds 2, .*labelsTr/{NAMES[0]}\.nii\.gz"):
        whole(module(place, test_fraction=0.2), NAMES[0])


def test_a_fold_of_the_file(tmp_path):
    place = build(tmp_path)
    folds = json.loads(split_in_folds(place).read_text())
    for fold, parts in enumerate(folds):
        table = module(place, fold=fold).samples
        assert table.ids[table.split == "val"].tolist() == parts["val"]
        assert table.ids[table.split == "train"].tolist() == parts["train"]
        assert (table.split[-2:] == "test").all()
    with pytest.raises(UserError, match=r"No fold 3 in .*\nIt has 3, counted from --data\.fold 0"):
        _ = module(place, fold=3).samples


def test_what_a_fold_holds_out_can_be_the_test(tmp_path):
    place = build(tmp_path, masked=False)
    held_out = json.loads(split_in_folds(place).read_text())[1]["val"]
    table = module(place, fold=1, held_out="test").samples
    assert table.ids[table.split == "test"].tolist() == held_out
    assert len(table.rows("val"))


def test_folds_lie_where_they_are_said_to(tmp_path):
    place = build(tmp_path / "raw")
    path = split_in_folds(place).rename(tmp_path / "elsewhere.json")
    with pytest.raises(UserError, match=r"No file .*splits_final\.json"):
        _ = module(place, fold=0).samples
    assert len(module(place, fold=0, splits=str(path)).samples.rows("val")) == 4


def test_folds_that_do_not_fit(tmp_path):
    place = build(tmp_path)
    path = place / "splits_final.json"
    path.write_text(json.dumps([{"train": NAMES[:4], "val": ["other_1"]}]))
    with pytest.raises(UserError, match="1 cases are not in imagesTr, for example 'other_1'"):
        _ = module(place, fold=0).samples
    path.write_text(json.dumps([{"train": NAMES[:4], "val": NAMES[3:6]}]))
    with pytest.raises(UserError, match=f"in train and in val of fold 0, for example '{NAMES[3]}'"):
        _ = module(place, fold=0).samples
    path.write_text(json.dumps([[NAMES[:4], NAMES[4:]]]))
    with pytest.raises(UserError, match="Fold 0 is not as"):
        _ = module(place, fold=0).samples
    path.write_text(json.dumps([{"train": NAMES[:5], "val": NAMES[5:]}]))  # parts patient003, as folds by case do
    with pytest.raises(UserError, match="patient003"):
        _ = module(place, fold=0).samples


def test_says_that_cases_may_share_patients(place, caplog):
    with caplog.at_level(logging.WARNING):
        assert module(place, patient_pattern=None).samples.patients is None
    assert "patient001" in caplog.text and "--data.patient_pattern" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        _ = module(place).samples
    assert "patient_pattern" not in caplog.text


def test_cases_that_dataset_json_lists(tmp_path):
    place = build(tmp_path)
    (place / "imagesTr").rename(place / "elsewhere")
    listed = {
        name: {"images": [f"elsewhere/{name}_0000.nii.gz"], "label": f"labelsTr/{name}.nii.gz"} for name in NAMES[::-1]
    }
    edit(place, dataset=listed)
    data = module(place)
    assert data.samples.ids.tolist() == NAMES
    assert whole(data, NAMES[0]).truth.any()
    listed[NAMES[0]]["images"].append("another")
    edit(place, dataset=listed)
    with pytest.raises(UserError, match=f"Case '{NAMES[0]}' of dataset"):
        _ = module(place).samples


def test_another_ending(tmp_path):
    place = build(tmp_path)
    import SimpleITK

    for path in [*place.glob("*/[!.]*.nii.gz")]:
        if path.name != f"{NAMES[3]}.nii.gz":  # which ITK stores as it reads it, not whole
            SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(path).replace(".nii.gz", ".nrrd"))
    edit(place, file_ending=".nrrd")
    data = module(place, exclude=str(excluded(tmp_path, NAMES[3])))
    assert data.samples.paths[0].endswith(".nrrd")
    assert (whole(data, NAMES[0]).truth == whole(module(build(tmp_path / "again")), NAMES[0]).truth).all()


def excluded(folder, name):
    path = folder / "exclude.txt"
    path.write_text(f"{name}\n")
    return path


def test_names_without_a_channel(tmp_path):
    place = build(tmp_path)
    (place / f"imagesTr/{NAMES[0]}_0000.nii.gz").rename(place / f"imagesTr/{NAMES[0]}.nii.gz")
    with pytest.raises(UserError, match=rf"imagesTr/{NAMES[0]}.nii.gz tells no channel\n.*\n.*{NAMES[0]}_0000.nii.gz"):
        _ = module(place).samples


def test_a_case_without_a_mask(tmp_path):
    place = build(tmp_path)
    (place / f"labelsTr/{NAMES[0]}.nii.gz").unlink()
    with pytest.raises(UserError, match=f"1 case\\(s\\) have no mask, for example '{NAMES[0]}'"):
        _ = module(place).samples
    _ = module(place, exclude=str(excluded(tmp_path, NAMES[0]))).samples


def test_a_mask_without_an_image(tmp_path, caplog):
    place = build(tmp_path)
    (place / f"imagesTr/{NAMES[0]}_0000.nii.gz").unlink()
    with caplog.at_level(logging.WARNING):
        assert NAMES[0] not in module(place).samples.ids
    assert f"1 masks are of no image in imagesTr, for example {NAMES[0]}.nii.gz" in caplog.text


def test_missing_data_say_so(tmp_path):
    with pytest.raises(UserError, match=r"--data\.root FOLDER"):
        _ = NNUNetDataModule().samples
    with pytest.raises(UserError, match=r"No dataset\.json in"):
        _ = module(tmp_path).samples
    place = build(tmp_path)
    build(tmp_path, folder="Dataset008_Other")
    with pytest.raises(UserError, match=r"2 data sets in .*: Dataset007_Ball, Dataset008_Other\nTake one: --data.root"):
        _ = module(tmp_path).samples
    edit(place, channel_names={})
    with pytest.raises(UserError, match="No channel_names in"):
        _ = module(place).samples
