import logging

import numpy as np
import pytest
from support.layouts.isic2019 import build

from transfusion_cli.datasets import ISIC2019DataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("isic2019"))


def module(root, **kwargs):
    return ISIC2019DataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def test_eight_classes_train_and_the_unlabelled_test_is_for_prediction(root):
    data = module(root)
    data.setup("fit")
    table = data.samples
    assert data.class_names == ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]
    labelled = table.split != "predict"
    numbers = np.array([int(path.rpartition("/")[2][5:12]) for path in table.paths])
    assert (table.targets[labelled] == numbers[labelled] // 2 % 8).all()
    assert (~labelled).sum() == 18 and (table.targets[~labelled] == -1).all()
    for split in ("train", "test"):
        assert set(table.targets[table.split == split]) == set(range(8))


def test_lesions_that_are_not_known_are_their_own(root):
    table = module(root).samples
    labelled = table.split != "predict"
    unknown = labelled & np.char.startswith(table.patients, "ISIC_")
    assert unknown.sum() == 16 and len(set(table.patients[unknown])) == 16
    known = labelled & ~unknown
    assert len(set(table.patients[known])) == 48 < known.sum()
    for lesion in set(table.patients):
        assert len(set(table.split[table.patients == lesion])) == 1
    assert {str(name) for name in table.domains[labelled]} == {"HAM", "BCN", "MSK", "unknown"}
    assert (table.domains[unknown] == "unknown").all()


def test_a_name_with_downsampled_is_the_same_name_without(root):
    table = module(root).samples
    pair = table.patients == "MSK4_0000018"
    assert [path.rpartition("/")[2] for path in table.paths[pair]] == [
        "ISIC_0000036_downsampled.jpg",
        "ISIC_0000037_downsampled.jpg",
    ]


def test_files_may_have_lost_the_suffix(tmp_path):
    folder = build(tmp_path) / "ISIC_2019_Training_Input"
    expected = module(tmp_path).samples
    for path in folder.glob("*_downsampled.jpg"):
        path.rename(folder / path.name.replace("_downsampled", ""))
    table = module(tmp_path).samples
    assert (table.paths != expected.paths).sum() > 10
    assert (table.patients == expected.patients).all() and (table.targets == expected.targets).all()


def test_labels_of_the_test_make_it_the_test_split_without_unk(tmp_path, caplog):
    build(tmp_path, labelled=True)
    with caplog.at_level(logging.INFO):
        table = module(tmp_path).samples
    official = np.char.startswith(table.paths, "ISIC_2019_Test_Input/")
    assert (table.split[official & (table.targets >= 0)] == "test").all()
    assert (table.split[official & (table.targets < 0)] == "").all()
    assert (table.split == "test").sum() == 16 and official.sum() == 18
    assert "2 images of class UNK in ISIC_2019_Test_GroundTruth.csv are left out" in caplog.text
    assert not len(table.rows("predict"))


def test_without_metadata_a_warning(tmp_path, caplog):
    build(tmp_path)
    (tmp_path / "ISIC_2019_Training_Metadata.csv").unlink()
    table = module(tmp_path).samples
    assert len(set(table.patients)) == len(table) and set(table.domains) == {"unknown"}
    assert "ISIC_2019_Training_Metadata.csv" in caplog.text


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path), ISIC2019DataModule()):
        with pytest.raises(UserError, match=r"(?s)ISIC2019: .*isic-archive.*ISIC_2019_Training_Input"):
            data.setup("fit")
    build(tmp_path)
    path = tmp_path / "ISIC_2019_Training_Metadata.csv"
    path.write_text(path.read_text().replace("lesion_id", "lesion", 1))
    with pytest.raises(UserError, match=r"No column 'lesion_id'\n.*Metadata.csv\nDid you mean lesion"):
        _ = module(tmp_path).samples
