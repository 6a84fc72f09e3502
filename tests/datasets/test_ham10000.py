import numpy as np
import pytest
from support.layouts.ham10000 import build

from transfusion_cli.datasets import HAM10000DataModule
from transfusion_cli.errors import UserError


def module(root, **kwargs):
    return HAM10000DataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory):
    return build(tmp_path_factory.mktemp("kaggle"))


@pytest.fixture(scope="module")
def dataverse(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dataverse"), dataverse=True, test=28)


@pytest.mark.parametrize("at", ["", "skin-cancer-mnist-ham10000"])
def test_kaggle_has_two_folders_and_one_of_them_twice(kaggle, at):
    data = module(kaggle / at)
    table = data.samples
    assert len(table) == 70 + 24 == len(set(table.paths))
    assert {path.split("/")[0] for path in table.paths} == {"HAM10000_images_part_1", "HAM10000_images_part_2"}
    assert table.domains is None
    assert data.make_reader("train", data.size)(0).shape == (45, 60, 3)


def test_labels_follow_the_names_not_the_order_of_files(kaggle):
    data = module(kaggle)
    table = data.samples
    rows = [line.split(",") for line in (data.folder / "HAM10000_metadata.csv").read_text().splitlines()[1:]]
    expected = {name: (lesion, dx) for lesion, name, dx, *_ in rows}
    for path, lesion, target in zip(table.paths, table.patients, table.targets, strict=True):
        assert expected[path.split("/")[1][:-4]] == (lesion, data.class_names[target])


def test_lesions_do_not_part_and_all_classes_are_everywhere(kaggle):
    table = module(kaggle, val_fraction=0.15).samples
    for lesion in set(table.patients):
        assert len(set(table.split[table.patients == lesion])) == 1
    assert len(set(table.patients[table.split == "test"])) == 14
    for split in ("train", "val", "test"):
        assert set(table.targets[table.split == split]) == set(range(7))


def test_dataverse_has_tabs_sources_and_the_official_test(dataverse):
    table = module(dataverse).samples
    test = table.split == "test"
    assert test.sum() == 28 and len(table) == 94 + 28  # and not the image without a label
    assert all(path.startswith("ISIC2018_Task3_Test_Images/") for path in table.paths[test])
    assert (table.targets[test] == np.arange(28) // 2 % 7).all()
    assert len(set(table.patients[test])) == 14
    assert set(table.domains[~test]) == {"vidir_modern", "rosendahl"} and set(table.domains[test]) == {"unknown"}
    assert module(dataverse).published == {"train+val": 10015}


def test_the_official_test_may_have_one_hot_labels_or_images_alone_or_labels_alone(tmp_path):
    folder = build(tmp_path, dataverse=True, test=14) / "dataverse_files"
    table = folder / "ISIC2018_Task3_Test_GroundTruth.csv"
    one = [",".join("1.0" if k == image // 2 % 7 else "0.0" for k in (4, 5, 1, 0, 2, 3, 6)) for image in range(14)]
    lines = [f"ISIC_{34524 + image:07d},{row}" for image, row in enumerate(one)]
    table.write_text("\n".join(["image,MEL,NV,BCC,AKIEC,BKL,DF,VASC", *lines]) + "\n")
    samples = module(tmp_path).samples
    assert (samples.targets[samples.split == "test"] == np.arange(14) // 2 % 7).all()

    text = table.read_text()
    table.unlink()
    samples = module(tmp_path).samples
    unlabelled = samples.split == "predict"
    assert unlabelled.sum() == 15 and (samples.targets[unlabelled] == -1).all()
    assert len(samples.rows("test")) > 14  # held out

    table.write_text(text)
    (folder / "ISIC2018_Task3_Test_Images").rename(tmp_path / "elsewhere")
    samples = module(tmp_path).samples
    assert len(samples) == 94 and len(samples.rows("test")) > 14


def test_what_is_missing_or_wrong_is_named(tmp_path):
    for data in (module(tmp_path), HAM10000DataModule()):
        with pytest.raises(UserError, match=r"(?s)HAM10000: .*dataverse|DVN.*HAM10000_metadata"):
            data.setup("fit")
    folder = build(tmp_path) / "skin-cancer-mnist-ham10000"
    table = folder / "HAM10000_metadata.csv"
    text = table.read_text()
    table.write_text(text.replace(",bcc,", ",naevus,", 1))
    with pytest.raises(UserError, match=r"'naevus' in column 'dx', row 4.*\n.*\nAllowed: akiec, bcc"):
        _ = module(tmp_path).samples
    table.write_text(text + text.splitlines()[-1] + "\n")
    with pytest.raises(UserError, match="each image once"):
        _ = module(tmp_path).samples
    table.write_text(text.replace("dx,", "diagnosis,", 1))
    with pytest.raises(UserError, match="No column 'image'"):
        _ = module(tmp_path).samples
    table.write_text(text)
    (folder / "HAM10000_images_part_2").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"24 of the 94 images in HAM10000_metadata.csv are missing.*'ISIC_\d{7}'"):
        _ = module(tmp_path).samples
    with pytest.raises(UserError, match="test_fraction must lie between 0 and 1"):
        module(tmp_path, test_fraction=0)
