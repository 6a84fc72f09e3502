import logging

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.mask_layouts.masks import build
from support.retina import SIZE, draw_field, draw_vessels, save_mask, save_retina

from transfusion_cli.datasets import MaskTableDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

PATTERN = r"(p\d+)_"


def module(root=None, **kwargs):
    root = None if root is None else str(root)
    return MaskTableDataModule(root=root, **{"num_workers": 0, "patch_size": 32, "batch_size": 4} | kwargs)


def write_table(root, name="cases.csv", **columns):
    """A table of what ``build`` wrote."""
    images = sorted(path.relative_to(root).as_posix() for path in (root / "images").rglob("*.jpg"))
    masks = [path.replace("images", "masks").replace(".jpg", ".png") for path in images]
    frame = pd.DataFrame({"image": images, "mask": masks} | columns)
    frame.to_parquet(root / name) if name.endswith("parquet") else frame.to_csv(root / name, index=False)
    return root / name


def splits(table):
    return {split: len(table.rows(split)) for split in ("train", "val", "test", "predict")}


def test_two_folders(tmp_path, caplog):
    data = module(build(tmp_path), patient_pattern=PATTERN)
    table = data.samples
    assert data.class_names == ["foreground"] and data.target == "mask"
    assert splits(table) == {"train": 14, "val": 2, "test": 4, "predict": 0}
    assert all(len(set(table.split[table.patients == patient])) == 1 for patient in set(table.patients))
    row = table.ids.tolist().index("images/p03_1.jpg")
    assert (data.case_reader("train").read(row).truth == draw_vessels(31)).all()
    assert "No patients" not in caplog.text


@pytest.mark.parametrize("above", [True, False])
def test_folders_tell_the_split(tmp_path, above, caplog):
    for split, patients in (("train", 6), ("valid", 2), ("test", 3)):
        build(tmp_path / split if above else tmp_path, patients, 1, "" if above else split)
    data = module(tmp_path, patient_column="none")
    assert splits(data.samples) == {"train": 6, "val": 2, "test": 3, "predict": 0}
    assert not caplog.text
    test = data.samples.rows("test")[0]
    assert "test" in data.samples.masks[test]


@pytest.mark.parametrize("name", ["cases.csv", "cases.parquet"])
def test_a_table(tmp_path, name):
    build(tmp_path)
    patients = [f"s{row // 2}" for row in range(20)]
    split = ["train"] * 14 + ["val"] * 2 + ["test"] * 4
    path = write_table(tmp_path, name, patient=patients, split=split)
    for data in (module(tmp_path, table=name), module(table=str(path))):
        assert splits(data.samples) == {"train": 14, "val": 2, "test": 4, "predict": 0}
        assert data.samples.patients.tolist() == patients
        assert data.case_reader("test").read(19).truth.shape == SIZE
    with pytest.raises(UserError, match=r"No column 'masc'[\s\S]*mask.*--data.mask_column"):
        _ = module(tmp_path, table=name, mask_column="masc").samples
    frame = pd.DataFrame({"image": ["images/p00_0.jpg"], "label": ["x"]})
    frame.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UserError, match=r"No column 'mask'"):
        _ = module(tmp_path, table="other.csv").samples


def test_a_table_with_fields_of_view(tmp_path):
    build(tmp_path)
    save_mask(tmp_path / "disc.png", draw_field())
    path = write_table(tmp_path, fov=["disc.png"] * 10 + [""] * 10, patient=[f"s{row // 2}" for row in range(20)])
    data = module(table=str(path))
    reader = data.case_reader("train")
    assert ((reader.read(0).truth == IGNORE) == ~draw_field()).all()
    assert (reader.read(19).truth != IGNORE).all()


def test_names_that_share_a_patient_are_told(tmp_path, caplog):
    data = module(build(tmp_path))
    assert data.samples.patients is None
    assert "Several images are of p00: if that is a patient, --data.patient_pattern" in caplog.text
    pattern = caplog.text.split("--data.patient_pattern '")[1].split("'")[0]
    assert len(set(module(tmp_path, patient_pattern=pattern).samples.patients)) == 10
    caplog.clear()
    _ = module(tmp_path, patient_column="none").samples
    assert not caplog.text


def test_images_without_a_mask_are_for_prediction(tmp_path, caplog):
    build(tmp_path)
    for name in ("p03_0", "p04_0", "p04_1"):
        (tmp_path / f"masks/{name}.png").unlink()
    table = module(tmp_path, patient_pattern=PATTERN).samples
    # Of patient 3 another image is in a split, where this one would be known already.
    assert table.ids[table.rows("predict")].tolist() == ["images/p04_0.jpg", "images/p04_1.jpg"]
    assert "3 of 20 images have no mask, for example images/p03_0.jpg: 2 are the split predict" in caplog.text
    split = ["train"] * 14 + ["test"] * 6
    masks = [f"masks/p{row // 2:02d}_{row % 2}.png" for row in range(20)]
    masks[19] = ""
    path = write_table(tmp_path, patient=[f"s{row // 2}" for row in range(20)], split=split, mask=masks)
    with pytest.raises(UserError, match=r"1 case\(s\) have no mask, for example 'images/p09_1.jpg' in the test split"):
        _ = module(table=str(path)).samples


def test_classes_by_value(tmp_path):
    save_retina(tmp_path / "images/a.jpg", 1)
    labels = np.zeros(SIZE, np.uint8)
    labels[:20], labels[20:30], labels[30:33] = 10, 20, 99
    (tmp_path / "masks").mkdir()
    Image.fromarray(labels).save(tmp_path / "masks/a.png")
    options = {"test_fraction": 0, "val_fraction": 0.1, "patient_column": "none"}
    with pytest.raises(UserError, match=r"a.png have 1 value.* 99 \(240 pixels\)"):
        data = module(tmp_path, classes={"10": "disc", "20": "cup"}, **options)
        data.case_reader("train").read(0)
    data = module(tmp_path, classes={"10": "disc", "20": "cup", "99": "ignore"}, **options)
    assert data.class_names == ["disc", "cup"]
    truth = data.case_reader("train").read(0).truth
    assert [(truth == value).sum() for value in (1, 2, IGNORE)] == [1600, 800, 240]
    written = data.case_reader("train").write(0, truth, tmp_path / "out")
    assert (np.asarray(Image.open(written)) == labels).all()


def test_mistakes_are_told(tmp_path, caplog):
    with pytest.raises(UserError, match=r"give --data.root FOLDER"):
        _ = module().samples
    with pytest.raises(UserError, match="No folder"):
        _ = module(tmp_path / "gone").samples
    with pytest.raises(UserError, match="No images in"):
        _ = module(tmp_path).samples
    save_retina(tmp_path / "images/a.jpg", 1)
    save_mask(tmp_path / "masks/b.png", draw_field())
    with pytest.raises(UserError, match=r"No image has a mask of its name .*'masks/b.png' to 'images/a.jpg'"):
        _ = module(tmp_path).samples
    build(tmp_path)
    with caplog.at_level(logging.WARNING):
        _ = module(tmp_path, patient_column="none").samples
    assert "1 masks have no image and are passed over: masks/b.png" in caplog.text
    save_mask(tmp_path / "masks/p00_0.bmp", draw_field())
    with pytest.raises(UserError, match=r"masks/p00_0.bmp and masks/p00_0.png have one name"):
        _ = module(tmp_path).samples
    with pytest.raises(UserError, match="both tell the patients"):
        module(tmp_path, patient_column="who", patient_pattern="x")
    with pytest.raises(UserError, match="augmentation: no albumentations transform 'Flop'"):
        module(tmp_path, augmentation=["Flop"])
    with pytest.raises(UserError, match="augmentation: 'strong' is neither"):
        module(tmp_path, augmentation="strong")
