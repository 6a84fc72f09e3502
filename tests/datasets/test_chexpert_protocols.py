import numpy as np
import pandas as pd
import pytest
from support.chexpert import build_chexpert

from transfusion_cli.datasets import CheXpertDataModule
from transfusion_cli.datasets.chexpert import FIVE
from transfusion_cli.datasets.families.chexpert_protocols import PER_LABEL
from transfusion_cli.errors import UserError

SIX = ["No Finding", *FIVE]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build_chexpert(tmp_path_factory.mktemp("data"), patients=200, size=8)


def module(root, protocol="partial_transfusion", **kwargs):
    return CheXpertDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, protocol=protocol, **kwargs)


def rows_of(root):
    """train.csv by the ids of the sample table."""
    frame = pd.read_csv(root / "train.csv")
    return frame.set_index(frame["Path"].str.removeprefix("CheXpert-v1.0-small/"))


def test_rows_and_targets_of_the_paper(root):
    data = module(root)
    table = data.samples
    assert data.class_names == FIVE and table.targets.shape[1] == 5
    frame = rows_of(root)
    usable = frame[(frame["Frontal/Lateral"] == "Frontal") & (frame[SIX] != -1).all(axis=1)]
    assert set(table.ids) == set(usable.index)
    np.testing.assert_array_equal(table.targets, usable.loc[[str(name) for name in table.ids], FIVE].fillna(0))


def test_patients_are_49_21_and_30_percent(root):
    table = module(root).samples
    everyone = len(set(table.patients))
    chosen = {split: set(table.patients[table.rows(split)]) for split in ("train", "val", "test")}
    assert not (chosen["train"] & chosen["val"] or chosen["train"] & chosen["test"] or chosen["val"] & chosen["test"])
    shares = {split: len(patients) / everyone for split, patients in chosen.items()}
    assert shares["test"] <= 0.3 + 0.01 and shares["val"] <= 0.21 + 0.01 and shares["train"] <= 0.49 + 0.01
    assert module(root, split_seed=1).split_hash != module(root).split_hash == module(root).split_hash


def test_draws_are_those_of_the_papers_code(root, monkeypatch):
    """Pandas' own ``sample``, from the patients in the order of the file, with the paper's seeds."""
    monkeypatch.setitem(PER_LABEL, "test", 4)
    table = module(root).samples
    frame = rows_of(root).loc[[str(name) for name in table.ids], SIX].fillna(0).assign(patient=table.patients)
    patients = pd.Series(frame["patient"].unique()).sample(frac=0.3, random_state=0)
    pool = frame[frame["patient"].isin(patients)]
    drawn = [pool[pool[name] == 1].sample(4, random_state=seed) for name, seed in zip(SIX, range(6), strict=True)]
    drawn.append(pool[pool["No Finding"] == 1].sample(4, random_state=5))
    assert set(table.ids[table.rows("test")]) == set(pd.concat(drawn).drop_duplicates().index)


def test_rows_of_a_patient_with_the_same_labels_count_once(root):
    table = module(root).samples
    frame = rows_of(root).loc[[str(name) for name in table.ids], SIX].fillna(0).assign(patient=table.patients)
    frame["split"] = table.split
    assert frame.duplicated([*SIX, "patient"]).any()
    for split in ("train", "val", "test"):
        chosen = frame[frame["split"] == split]
        assert len(chosen) and not chosen.duplicated([*SIX, "patient"]).any()


def test_each_split_takes_as_many_images_of_each_label(root, monkeypatch):
    for split, size in (("train", 9), ("val", 3), ("test", 5)):
        monkeypatch.setitem(PER_LABEL, split, size)
    table = module(root).samples
    for split, size in (("train", 9), ("val", 3), ("test", 5)):
        assert size < len(table.rows(split)) <= 7 * size


def test_literal_draws_validation_from_training_patients(root, caplog):
    data = module(root, literal=True)
    table = data.samples
    rows = {split: table.rows(split) for split in ("train", "val", "test")}
    assert set(table.patients[rows["val"]]) <= set(table.patients[rows["train"]])
    assert set(table.paths[rows["val"]]) & set(table.paths[rows["train"]])
    assert len(set(table.ids)) == len(table) and all(name.endswith("#val") for name in table.ids[rows["val"]])
    assert "validation patients are training patients too" in caplog.text
    sound = module(root).samples
    for split in ("train", "test"):
        assert set(table.ids[rows[split]]) == set(sound.ids[sound.rows(split)])
    with pytest.raises(UserError, match="partial_transfusion"):
        module(root, protocol="transfusion", literal=True)


def test_transfusion_splits_train_csv_by_patient(root, monkeypatch):
    monkeypatch.setattr("transfusion_cli.datasets.chexpert.TRANSFUSION_IMAGES", 90)
    data = module(root, protocol="transfusion")
    table = data.samples
    assert data.views == "all" and data.class_names == FIVE
    chosen = {split: set(table.patients[table.rows(split)]) for split in ("train", "val", "test")}
    assert not chosen["train"] & chosen["test"]
    assert all(path.startswith("valid/") for path in table.paths[table.rows("val")])
    assert len(table.rows("train")) == 90 and 90 <= len(table.rows("test")) <= 93
    raw = rows_of(root).loc[[str(name) for name in table.ids[table.rows("test")]], FIVE].to_numpy()
    expected = np.where(raw == -1, [1, 0, 0, 1, 0], np.nan_to_num(raw))
    assert (raw == -1).any()
    np.testing.assert_array_equal(table.targets[table.rows("test")], expected)


def test_transfusion_halves_what_is_smaller(root):
    table = module(root, protocol="transfusion").samples
    images = len(pd.read_csv(root / "train.csv"))
    assert abs(len(table.rows("test")) - images // 2) <= 3
    assert len(table.rows("test")) + len(table.rows("train")) == images


@pytest.mark.parametrize("protocol", ["partial_transfusion", "transfusion"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", "fourteen"),
        ("views", "lateral"),
        ("projection", "PA"),
        ("uncertain", "ones"),
        ("blank", "ignore"),
        ("labeler", "chexbert"),
        ("test_set", "chexlocalize"),
    ],
)
def test_what_a_protocol_decides_cannot_be_set_otherwise(root, protocol, name, value):
    with pytest.raises(UserError, match=rf"{name}: protocol {protocol} has .*not '{value}'\nLeave out --data.{name}"):
        module(root, protocol, **{name: value})


def test_published_counts(root):
    assert module(root).published == {"train": 11633, "test": 1350}
    assert module(root, literal=True).published["val"] == 1036
    assert not module(root, split_seed=3).published
    assert module(root, "official").published == {"train+val": 191027, "test": 202}
    assert module(root, "transfusion").published == {"train": 50000, "val": 234}
