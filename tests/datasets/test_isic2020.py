import numpy as np
import pytest
from support.layouts.isic2020 import build

from transfusion_cli.datasets import ISIC2020DataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("isic2020"))


def module(root, **kwargs):
    return ISIC2020DataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def test_patients_do_not_part_and_melanoma_is_everywhere(root):
    table = module(root, val_fraction=0.25).samples
    for patient in set(table.patients):
        assert len(set(table.split[table.patients == patient])) == 1
    assert len(set(table.patients[table.split == "test"])) == 6
    numbers = np.array([int(path.rpartition("/")[2][5:12]) - 15719 for path in table.paths])
    labelled = table.split != "predict"
    assert (table.targets[labelled, 0] == (numbers[labelled] % 9 == 2)).all()
    for split in ("train", "val", "test"):
        assert set(table.targets[table.split == split, 0]) == {0, 1}


def test_the_second_of_two_duplicates_is_left_out(root, caplog):
    data = module(root)
    assert "train/ISIC_0015719.jpg" in data.samples.paths and "train/ISIC_0015722.jpg" not in data.samples.paths
    assert len(data.samples) == 89 + 6
    assert data.published == {"train+val+test": 32701}
    assert not caplog.messages


def test_the_test_is_for_prediction(root):
    data = module(root, predict_split="predict")
    data.setup("predict")
    table = data.samples
    unlabelled = table.split == "predict"
    assert unlabelled.sum() == 6 and np.isnan(table.targets[unlabelled]).all()
    assert all(path.startswith("ISIC_2020_Test_Input/") for path in table.paths[unlabelled])
    assert next(iter(data.predict_dataloader()))["image"].shape == (6, 3, 32, 32)


def test_kaggle_has_another_table_and_jpeg_files_beside_dicom_files(tmp_path, caplog):
    table = module(build(tmp_path, kaggle=True)).samples
    assert len(table) == 90 + 6
    assert all(path.startswith(("jpeg/train/", "jpeg/test/")) for path in table.paths)
    assert "425 images are in the data twice" in caplog.text


def test_the_second_version_of_the_table(tmp_path):
    build(tmp_path)
    path = tmp_path / "ISIC_2020_Training_GroundTruth.csv"
    lines = path.read_text().splitlines()
    lines = [f"{line},{'lesion_id' if row == 0 else f'IL_{row:07d}'}" for row, line in enumerate(lines)]
    (tmp_path / "ISIC_2020_Training_GroundTruth_v2.csv").write_text("\n".join(lines) + "\n")
    path.unlink()
    assert len(module(tmp_path).samples) == 89 + 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("benign,0", "benign,2", r"value 2 in column 'target', row 2 .*\nin .*\nAllowed: 0"),
        ("IP_0000001", "", r"Blank cell in column 'patient_id', row 5 .*\nin .*\nAllowed: a patient"),
        (
            "ISIC_0015724",
            "ISIC_0015723",
            r"'ISIC_0015723' in column 'image_name', row 7 .*\nin .*\nAllowed: each image once",
        ),
        (
            "ISIC_0015724",
            "ISIC_9999999",
            r"1 of the 89 images in .*GroundTruth.csv are missing, for example 'ISIC_9999999'",
        ),
        ("patient_id", "patient", r"No column 'patient_id'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    build(tmp_path)
    path = tmp_path / "ISIC_2020_Training_GroundTruth.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        _ = module(tmp_path).samples


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path), ISIC2020DataModule()):
        with pytest.raises(UserError, match=r"(?s)ISIC2020: .*isic-archive.*train/\*.jpg"):
            data.setup("fit")
