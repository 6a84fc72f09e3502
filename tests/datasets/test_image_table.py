import logging
import time

import numpy as np
import pandas as pd
import pytest
from support.images import build_image_folders, build_image_table, picture, save_dicom, save_picture

from transfusion_cli.datasets import ImageTableDataModule
from transfusion_cli.errors import UserError


def module(root=None, **kwargs):
    options = {"num_workers": 0, "batch_size": 4, "image_size": 16, "channels": 1, "augmentation": None}
    return ImageTableDataModule(root=None if root is None else str(root), **(options | kwargs))


def edit(table, **columns):
    """Rewrite a table with columns replaced, added or (None) removed."""
    frame = pd.read_csv(table)
    for name, values in columns.items():
        frame = frame.drop(columns=name) if values is None else frame.assign(**{name: values})
    frame.to_csv(table, index=False)
    return table


def splits_of_patients(data):
    table = data.samples
    return {split: set(table.patients[table.rows(split)].tolist()) for split in ("train", "val", "test")}


def test_folders_by_class(tmp_path, caplog):
    root = build_image_folders(tmp_path)
    (root / ".hidden").mkdir()
    save_picture(root / "__MACOSX" / "normal.png", 0)
    (root / "normal" / "._p000_0.png").touch()
    (root / "normal" / "Thumbs.db").touch()
    with caplog.at_level(logging.WARNING):
        data = module(root)
        assert (data.target, data.class_names, data.in_chans) == ("binary", ["normal", "sick"], 1)
    assert "splits and intervals are by image" in caplog.text
    data.setup("fit")
    assert len(data.samples) == 40
    expected = ["sick" in name for name in data.samples.ids]
    np.testing.assert_array_equal(data.samples.targets[:, 0], np.array(expected, np.float32))
    assert [len(data.samples.rows(split)) for split in ("train", "val", "test")] == [29, 3, 8]
    batch = next(iter(data.val_dataloader()))
    assert batch["image"].shape == (3, 1, 16, 16)


def test_patient_pattern(tmp_path):
    data = module(build_image_folders(tmp_path), patient_pattern=r"p(\d+)_")
    groups = splits_of_patients(data)
    assert groups["train"] | groups["val"] | groups["test"] == {f"{p:03d}" for p in range(20)}
    assert sum(map(len, groups.values())) == 20
    assert len(groups["test"]) == 4
    with pytest.raises(UserError, match=r"matches no path, for example not 'normal/p000_0\.png'"):
        module(tmp_path, patient_pattern="person").setup("fit")


def test_folders_with_splits(tmp_path):
    for name, seed in (("train", 0), ("Valid", 1), ("test", 2)):
        build_image_folders(tmp_path / name, ("a", "b", "c"), patients=seed + 2)
    (tmp_path / "code").mkdir()
    data = module(tmp_path)
    assert (data.target, data.class_names) == ("multiclass", ["a", "b", "c"])
    assert [len(data.samples.rows(split)) for split in ("train", "val", "test")] == [12, 18, 24]
    assert data.samples.targets.dtype == np.int64


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_with_patients(tmp_path, suffix):
    table = build_image_table(tmp_path)
    if suffix == ".parquet":
        pd.read_csv(table).to_parquet(tmp_path / "table.parquet")
    data = module(table=str(tmp_path / f"table{suffix}"))
    assert (data.target, data.class_names) == ("multiclass", ["healthy", "mild", "severe"])
    groups = splits_of_patients(data)
    assert sum(map(len, groups.values())) == 12 and min(map(len, groups.values())) >= 1
    frame = data.split_frame()
    assert list(frame.columns) == ["id", "patient", "split"]
    assert frame["id"].tolist() == pd.read_csv(table)["image"].tolist()
    below_root = module(tmp_path, table=f"table{suffix}")
    assert below_root.split_hash == data.split_hash


def test_table_with_splits_and_ordered_classes(tmp_path):
    table = build_image_table(tmp_path, splits=True)
    data = module(table=str(table), kind="ordinal", classes=["severe", "mild", "healthy"])
    given = pd.read_csv(table)
    assert data.target == "ordinal"
    assert data.samples.split.tolist() == given["split"].tolist()
    codes = given["label"].map({"severe": 0, "mild": 1, "healthy": 2})
    assert data.samples.targets.tolist() == codes.tolist()


def test_label_columns_with_unknowns(tmp_path):
    table = build_image_table(tmp_path)
    data = module(table=str(table), label_columns=["oedema", "nodule"])
    assert (data.target, data.class_names) == ("multilabel", ["oedema", "nodule"])
    given = pd.read_csv(table)[["oedema", "nodule"]].to_numpy()
    assert np.isnan(given).any()
    np.testing.assert_array_equal(data.samples.targets, given.astype(np.float32))


def test_labels_in_one_cell(tmp_path):
    table = build_image_table(tmp_path)
    edit(table, label=["Mass|Oedema", "Mass", "Oedema", ""] * 6)
    data = module(table=str(table))
    assert (data.target, data.class_names) == ("multilabel", ["Mass", "Oedema"])
    assert data.samples.targets[:4].tolist() == [[1, 1], [1, 0], [0, 1], [0, 0]]


def test_numbers_as_classes_and_unknown_labels(tmp_path):
    table = build_image_table(tmp_path)
    edit(table, label=[10, 9, 2, None] * 6)
    data = module(table=str(table))
    assert data.class_names == ["2", "9", "10"]
    assert data.samples.targets[:4].tolist() == [2, 1, 0, -1]
    edit(table, label=[1, 0, None, 0] * 6)
    np.testing.assert_array_equal(module(table=str(table)).samples.targets[:4, 0], np.array([1, 0, np.nan, 0]))


@pytest.mark.parametrize("word", ["None", "NA", "nan"])
def test_a_class_called_as_nothing_is_a_class(tmp_path, word, caplog):
    table = build_image_table(tmp_path)
    edit(table, label=["RBC", "Platelets", word] * 7 + ["RBC", "", ""])
    with caplog.at_level(logging.INFO):
        data = module(table=str(table))
        assert data.target == "multiclass" and data.class_names == sorted(["RBC", "Platelets", word])
    assert (data.samples.targets >= 0).sum() == 22
    assert f"column 'label': 7 cells say '{word}' and are taken at their word" in caplog.text


def test_patients_keep_their_zeros(tmp_path):
    table = build_image_table(tmp_path)
    edit(table, patient=[f"{i // 2:03d}" for i in range(12)] + [f"{i // 2}" for i in range(12)])
    assert len(set(module(table=str(table)).samples.patients)) == 12


@pytest.mark.parametrize("name", ["PatientID", "Patient ID", "subject_id"])
def test_patients_under_other_names_never_part(tmp_path, name, caplog):
    table = build_image_table(tmp_path, patients=40)
    edit(table, **{name: pd.read_csv(table)["patient"], "patient": None})
    with caplog.at_level(logging.INFO):
        groups = splits_of_patients(module(table=str(table)))
    assert sum(map(len, groups.values())) == 40
    assert f"patients: column {name}, 40 of them; --data.patient_column NAME takes another" in caplog.text
    assert "No patients" not in caplog.text


def test_columns_that_look_like_patients_are_named(tmp_path, caplog):
    table = build_image_table(tmp_path)
    edit(table, code=pd.read_csv(table)["patient"], patient=None)
    with caplog.at_level(logging.INFO):
        assert module(table=str(table)).samples.patients is None
        assert "Column code looks like patients: take it with --data.patient_column code, or" in caplog.text
        caplog.clear()
        assert module(table=str(table), patient_column="none").samples.patients is None
        assert len(splits_of_patients(module(table=str(table), patient_column="code"))["test"]) == 2
        assert not caplog.text
        groups = splits_of_patients(module(table=str(table), patient_pattern=r"(\d+)_\d\.png"))
        assert sum(map(len, groups.values())) == 12 and not caplog.text


def test_folders_say_what_to_type_where_no_patients_are_known(tmp_path, caplog):
    root = build_image_folders(tmp_path)
    with caplog.at_level(logging.WARNING):
        _ = module(root).samples
        assert "--data.patient_pattern REGEX" in caplog.text and "--data.patient_column none" in caplog.text
        caplog.clear()
        _ = module(root, patient_column="none").samples
    assert not caplog.text


def test_blank_splits_are_drawn(tmp_path, caplog):
    table = build_image_table(tmp_path)
    patient = pd.read_csv(table)["patient"].str[1:].astype(int)
    split = patient.map({0: "train", 1: "train", 2: "test", 3: "unused"}).fillna("").tolist()
    split[5] = ""  # the second image of patient 2
    with caplog.at_level(logging.INFO):
        data = module(table=str(edit(table, split=split)), val_fraction=0.2)
        groups = splits_of_patients(data)
    assert groups["test"] == {"p002"} and len(data.samples.rows("test")) == 2
    assert len(groups["val"]) == 2 and len(groups["train"]) == 8
    assert (data.samples.split == "").sum() == 2 and not groups["train"] & groups["val"]
    assert (
        "splits: 5 images as given; 17 blank, of which 1 follow their patient and 16 join train; 2 left out; "
        "drawn from train: val 4"
    ) in caplog.text

    drawn = module(table=str(edit(table, split=[""] * 24))).split_hash
    assert drawn == module(table=str(edit(table, split=None))).split_hash

    edit(table, Split=split)
    assert module(table=str(table), val_fraction=0.2).split_hash == data.split_hash


def test_mixed_depths_make_one_batch(tmp_path):
    table = build_image_table(tmp_path)
    save_dicom(tmp_path / "images/000_0.dcm", picture(0, depth=16) // 16, 12)
    images = pd.read_csv(table)["image"]
    images[0] = "images/000_0.dcm"
    data = module(
        table=str(edit(table, image=images, split=["train"] * 14 + ["val"] * 4 + ["test"] * 6)), batch_size=14
    )
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert str(batch["image"].dtype) == "torch.float32"
    assert 0.9 < batch["image"].amax() <= 1
    assert (batch["image"].amax((1, 2, 3)) > 0.5).all()  # 8-bit images were brought to [0, 1] too


def message_of(error):
    text = str(error.value)
    assert len(text.splitlines()) <= 3
    return text


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"label": None}, {}, r"No column 'label'\nin .*table.csv\nnodule, oedema, patient look like one"),
        ({"label": None}, {}, r"\(--data.label_columns NAME\)"),
        ({}, {"image_column": "file"}, r"No column 'file'\nin .*\n.*\(--data.image_column NAME\)"),
        ({}, {"split_column": "fold"}, r"No column 'fold'\nin .*\n.*\(--data.split_column NAME\)"),
        (
            {},
            {"patient_column": "pateint"},
            r"No column 'pateint'\nin .*\nDid you mean patient\? \(--data.patient_column",
        ),
        ({}, {"classes": ["healthy", "mild"]}, r"Unknown value 'severe' in column 'label', row 6 \(8 such rows\)"),
        ({}, {"label_columns": ["oedema", "label"]}, r"Unknown value 'healthy' in column 'label', row 2"),
        ({"split": ["train", "tset"] * 12}, {}, r"Unknown value 'tset' in column 'split', row 3"),
        ({"split": ["train", "test"] * 12}, {}, r"12 patient\(s\) are in more than one split, for example 'p000'"),
        ({"split": ["test"] * 24}, {}, r"The train split is empty"),
        ({"label": ["same"] * 24}, {}, r"at least two classes, found \['same'\]"),
        ({}, {"kind": "binary"}, r"A binary target has two classes, found 3"),
        ({}, {"classes": ["healthy", "mild", "severe", "dead"]}, r"No training sample has 'dead'"),
        ({"image": ["images/000_0.png"] * 24}, {}, r"Repeated value 'images/000_0.png' in column 'image', row 3"),
        (
            {"patient": [None] + ["a"] * 23},
            {},
            r"Blank cell in column 'patient', row 2 .*\n.*\n.*--data.patient_column",
        ),
        ({}, {"patient_column": "patient", "patient_pattern": "p"}, r"both tell the patients\nGive one"),
        ({}, {"window": (2048, 0)}, r"window must be a centre and a width above 0, got \[2048, 0\]\n.*--data.window"),
        ({}, {"window": (2048, -4096)}, r"width above 0"),
        ({}, {"window": (float("nan"), 10)}, r"width above 0"),
    ],
)
def test_mistakes_in_tables(tmp_path, columns, options, message):
    table = edit(build_image_table(tmp_path), **columns)
    with pytest.raises(UserError, match=message) as error:
        module(table=str(table), **options).setup("fit")
    message_of(error)


def test_class_absent_from_training(tmp_path):
    table = build_image_table(tmp_path, splits=True)
    given = pd.read_csv(table)
    edit(table, split=np.where(given["label"] == "mild", "test", given["split"]))
    with pytest.raises(UserError, match="No training sample has 'mild'"):
        module(table=str(table)).setup("fit")


def test_empty_test_split(tmp_path):
    data = module(table=str(build_image_table(tmp_path)), test_fraction=0.0)
    data.setup("fit")
    with pytest.raises(UserError, match="The test split is empty"):
        data.setup("test")


@pytest.mark.parametrize("layout", ["nothing", "flat"])
def test_no_class_folders(tmp_path, layout):
    if layout == "flat":
        save_picture(tmp_path / "data" / "a.png", 0)
    with pytest.raises(UserError, match=r"(?s)data\nExpected <class>/<image> or .*--data.table FILE") as error:
        module(tmp_path / "data").setup("fit")
    message_of(error)


def test_no_data_at_all():
    with pytest.raises(UserError, match=r"--data.root FOLDER.*--data.table FILE"):
        module().setup("fit")


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_image_is_named_when_read(tmp_path, workers):
    table = build_image_table(tmp_path, splits=True)
    (tmp_path / "images/002_1.png").write_bytes(b"\x89PNG broken")
    data = module(table=str(table), num_workers=workers)
    data.prepare_data()
    data.setup("fit")
    with pytest.raises(UserError, match=r"^Not a readable image: .*images/002_1.png\n") as error:
        list(data.train_dataloader())
    message_of(error)


def test_verify_counts_before_training(tmp_path):
    table = build_image_table(tmp_path, splits=True)
    (tmp_path / "images/002_1.png").write_bytes(b"\x89PNG broken")
    (tmp_path / "images/001_0.png").unlink()
    data = module(table=str(table), verify=True)
    with pytest.raises(UserError, match=r"^2 of 12 images cannot be read, for example\n.*images/001_0.png") as error:
        data.prepare_data()
    message_of(error)


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["label", "findings", ["oedema", "nodule"]])
def test_reads_a_million_rows_in_seconds(million, labels):
    data = module(table=str(million), label_columns=labels)
    start = time.process_time()
    assert len(data.samples) == 1_000_000
    assert time.process_time() - start < 20
    assert set(data.samples.split) == {"train", "val", "test"}


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    path = tmp_path_factory.mktemp("million") / "table.csv"
    kinds = ("normal,,0,0", "sick,Mass,1,0", "sick,Oedema|Mass,,1", "normal,Oedema,0,")
    with path.open("w") as file:
        file.write("image,patient,label,findings,oedema,nodule\n")
        file.writelines(f"p{i // 3:06d}/view{i:07d}.png,p{i // 3:06d},{kinds[i // 3 % 4]}\n" for i in range(1_000_000))
    return path
