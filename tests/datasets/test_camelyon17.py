import numpy as np
import pandas as pd
import pytest
from support.layouts.camelyon17 import NODES, build

from transfusion_cli.datasets import Camelyon17DataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("camelyon17"))


@pytest.fixture
def own(tmp_path):
    """A tree to change."""
    return build(tmp_path)


def module(root, **kwargs):
    return Camelyon17DataModule(root=str(root), num_workers=0, image_size=96, batch_size=8, **kwargs)


def hospitals(table, split):
    return set(table.domains[table.rows(split)])


def change(root, edit):
    path = root / "camelyon17_v1.0/metadata.csv"
    frame = pd.read_csv(path, index_col=0, dtype=str)
    edit(frame)
    frame.to_csv(path)


@pytest.mark.parametrize("at", ["", "camelyon17_v1.0"])
def test_reads_the_labelled_patches_and_no_others(root, at):
    table = module(root / at).samples
    assert len(table) == 100
    folder = root / "camelyon17_v1.0"
    assert set(table.paths) == {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert "patches/patient_004_node_4/patch_patient_004_node_4_x_3328_y_21792.png" in table.paths
    assert set(table.patients) == {f"{patient:03d}" for nodes in NODES.values() for patient, _node in nodes}


def test_labels_belong_to_the_pictures(root):
    for batch in module(root).val_dataloader():
        centre = batch["image"][:, :, 32:64, 32:64].float().mean((1, 2, 3))
        assert ((centre < 128) == (batch["target"][:, 0] == 1)).all()
        assert batch["image"].shape[1:] == (3, 96, 96)


def test_official_splits_are_by_hospital_not_by_the_column_alone(root):
    table = module(root).samples
    assert hospitals(table, "train") == {"hospital 0", "hospital 3", "hospital 4"}
    assert hospitals(table, "val") == {"hospital 1"}
    assert hospitals(table, "test") == {"hospital 2"}
    assert [len(table.rows(split)) for split in ("train", "val", "test")] == [54, 20, 20]


def test_validation_in_distribution_is_a_known_leak(root, caplog):
    data = module(root, validation="id")
    table = data.samples
    assert hospitals(table, "val") == {"hospital 0", "hospital 3", "hospital 4"}
    assert [len(table.rows(split)) for split in ("train", "val", "test")] == [54, 6, 20]
    assert set(table.ids[table.rows("train")]) == set(module(root).samples.ids[module(root).samples.rows("train")])
    assert set(table.patients[table.rows("val")]) <= set(table.patients[table.rows("train")])
    assert "slides of training" in caplog.text
    assert module(root).known_leak == ""


def test_protocol_of_the_paper(root):
    table = module(root, protocol="partial_transfusion").samples
    assert hospitals(table, "train") == {"hospital 4"} and len(table.rows("train")) == 20
    assert hospitals(table, "val") == {"hospital 1"} and len(table.rows("val")) == 10
    assert hospitals(table, "test") == {"hospital 0", "hospital 2", "hospital 3"} and len(table.rows("test")) == 60


@pytest.mark.parametrize("protocol", ["official", "partial_transfusion"])
def test_the_small_variant_leaves_the_test_whole(root, monkeypatch, protocol):
    monkeypatch.setattr("transfusion_cli.datasets.camelyon17.SMALL", {"train": 8, "val": 4})
    whole = module(root, protocol=protocol).samples
    data = module(root, protocol=protocol, small=True)
    table = data.samples
    assert [len(table.rows(split)) for split in ("train", "val")] == [8, 4]
    assert (table.rows("test") == whole.rows("test")).all()
    assert set(table.rows("train")) <= set(whole.rows("train")) and set(table.rows("val")) <= set(whole.rows("val"))
    assert data.published["train"] == 8


def test_published_counts_add_up():
    official, wilds = (Camelyon17DataModule(validation=which).published for which in ("ood", "id"))
    paper = Camelyon17DataModule(protocol="partial_transfusion").published
    assert official["train"] + wilds["val"] + official["val"] + official["test"] == 455_954
    assert paper["train"] + 2 * paper["val"] + paper["test"] == 455_954


def test_literal_changes_nothing_and_goes_with_the_protocol(root):
    plain = module(root, protocol="partial_transfusion")
    literal = module(root, protocol="partial_transfusion", literal=True)
    assert plain.split_hash == literal.split_hash and literal.known_leak == ""
    with pytest.raises(UserError, match="partial_transfusion"):
        module(root, literal=True)
    with pytest.raises(UserError, match="official"):
        module(root, protocol="partial_transfusion", validation="id")


def test_patients_written_without_their_zeros(own):
    def edit(frame):
        frame["patient"] = frame["patient"].astype(int)

    before = module(own).samples.paths.tolist()
    change(own, edit)
    assert module(own).samples.paths.tolist() == before


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("tumor", "2", r"value 2 in column 'tumor', row 12"),
        ("center", "3", r"value 3 in column 'center', row 12"),
        ("x_coord", "", r"in column 'x_coord', row 12"),
        ("node", "1.5", r"1.5 in column 'node', row 12"),
        ("patient", "nobody", r"'nobody' in column 'patient', row 12"),
    ],
)
def test_wrong_values_are_named_with_their_row(own, column, value, message):
    change(own, lambda frame: frame.__setitem__(column, frame[column].where(np.arange(len(frame)) != 10, value)))
    with pytest.raises(UserError, match=message):
        _ = module(own).samples


def test_missing_column(own):
    change(own, lambda frame: frame.pop("split"))
    with pytest.raises(UserError, match="'split'"):
        _ = module(own).samples


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), Camelyon17DataModule()):
        with pytest.raises(UserError, match=r"(?s)Camelyon17.*wilds\.stanford\.edu.*metadata\.csv"):
            data.setup("fit")
