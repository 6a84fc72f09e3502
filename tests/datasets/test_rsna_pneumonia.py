import json
import shutil

import numpy as np
import pytest
from support.images import picture
from support.layouts.rsna_pneumonia import CLASSES, build, image_id

from transfusion_cli.datasets import RSNAPneumoniaDataModule
from transfusion_cli.errors import UserError

IMAGES = 60


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("rsna"), IMAGES)


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def module(root, **kwargs):
    return RSNAPneumoniaDataModule(root=str(root), num_workers=0, image_size=32, batch_size=4, **kwargs)


def labelled(table):
    return np.flatnonzero(table.split != "predict")


def test_one_row_per_image_however_many_boxes(root):
    table = module(root).samples
    assert len((root / "stage_2_train_labels.csv").read_text().splitlines()) > IMAGES + 1
    rows = labelled(table)
    assert list(table.ids[rows]) == [image_id(number) for number in range(IMAGES)]
    np.testing.assert_array_equal(table.targets[rows, 0], [number // 2 % 3 == 2 for number in range(IMAGES)])


def test_three_classes(root, copy):
    data = module(root, task="three_class")
    table = data.samples
    assert data.class_names == list(CLASSES)
    np.testing.assert_array_equal(table.targets[labelled(table)], [number // 2 % 3 for number in range(IMAGES)])
    assert (table.targets[table.rows("predict")] == -1).all()
    (copy / "stage_2_detailed_class_info.csv").write_text("patientId,class\n" + f"{image_id(0)},Normal\n")
    with pytest.raises(UserError, match="59 images have no class"):
        _ = module(copy, task="three_class").samples
    (copy / "stage_2_detailed_class_info.csv").unlink()
    assert len(module(copy).samples)
    with pytest.raises(UserError, match=r"(?s)stage_2_detailed_class_info.csv.*--data.task pneumonia"):
        _ = module(copy, task="three_class").samples


def test_nih_patients_do_not_cross_splits(root):
    data = module(root, test_fraction=0.25, val_fraction=0.2)
    table = data.samples
    assert list(table.patients[:4]) == ["00000000", "00000000", "00000000", "00000001"]
    patients = [set(table.patients[table.rows(split)]) for split in ("train", "val", "test")]
    assert [len(some) for some in patients] == [12, 3, 5]
    assert len(set.union(*patients)) == 20


def test_without_the_mapping_no_patients_are_known(copy, caplog):
    next(copy.glob("*mappings*.json")).unlink()
    table = module(copy).samples
    assert table.patients is None
    assert "patients may cross splits" in caplog.text and "mappings_2018.json" in caplog.text


def test_images_that_the_mapping_leaves_out(copy, caplog):
    path = next(copy.glob("*mappings*.json"))
    path.write_text(json.dumps(json.loads(path.read_text())[1:]))
    table = module(copy).samples
    assert list(table.patients[:3]) == [image_id(0), "00000000", "00000000"]
    assert "1 of 60 images are not in" in caplog.text
    path.write_text('{"not": "it"}')
    with pytest.raises(UserError, match="Not RSNA's mapping"):
        _ = module(copy).samples


def test_test_images_of_the_challenge_are_for_prediction(root, copy):
    data = module(root, predict_split="predict")
    table = data.samples
    rows = table.rows("predict")
    assert list(table.ids[rows]) == [image_id(number) for number in range(IMAGES, IMAGES + 4)]
    assert np.isnan(table.targets[rows]).all()
    data.setup("predict")
    assert [len(batch["index"]) for batch in data.predict_dataloader()] == [4]
    shutil.rmtree(copy / "stage_2_test_images")
    assert not len(module(copy).samples.rows("predict"))


def test_reads_plain_and_compressed_dicom(root):
    data = module(root)
    reader = data.make_reader("train", data.size)
    np.testing.assert_array_equal(reader(0), picture(0, (32, 32)))
    difference = reader(1).astype(int) - picture(1, (32, 32))
    assert reader(1).dtype == np.uint8 and 0 < np.abs(difference).mean() < 3  # JPEG


def test_contradictory_and_unknown_labels(copy):
    path = copy / "stage_2_train_labels.csv"
    text = path.read_text()
    path.write_text(text + f"{image_id(0)},1.0,2.0,3.0,4.0,1\n")
    with pytest.raises(UserError, match=f"Image {image_id(0)} has two values of 'Target'"):
        _ = module(copy).samples
    lines = text.splitlines()
    path.write_text("\n".join([*lines[:9], f"{image_id(8)},,,,,2", *lines[10:]]))
    with pytest.raises(UserError, match=r"Unknown value 2 in column 'Target', row 10"):
        _ = module(copy).samples


def test_missing_images_are_counted_and_named(copy):
    for number in (7, 30):
        (copy / "stage_2_train_images" / f"{image_id(number)}.dcm").unlink()
    with pytest.raises(UserError, match=f"2 of 60 images are missing, for example '{image_id(7)}'"):
        _ = module(copy).samples


def test_missing_data_say_where_to_get_them(copy, tmp_path):
    shutil.rmtree(copy / "stage_2_train_images")
    for data in (module(tmp_path / "nowhere"), module(copy), RSNAPneumoniaDataModule()):
        with pytest.raises(UserError, match=r"(?s)RSNAPneumonia.*kaggle.*stage_2_train_labels.csv"):
            data.setup("fit")
