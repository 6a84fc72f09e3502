import numpy as np
import pytest
from support.layouts.kermany_chest_xray import build

from transfusion_cli.datasets import KermanyChestXRayDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("kermany"))


def module(root, **kwargs):
    return KermanyChestXRayDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


@pytest.mark.parametrize("at", ["", "chest_xray"])
def test_reads_the_tree_once_and_nothing_else(root, at):
    table = module(root / at).samples
    assert len(table) == 12 * 4 + 6 * 4 + 2
    assert not any("chest_xray" in path or "._" in path for path in table.paths)
    assert (table.targets[:, 0] == ["PNEUMONIA" in path for path in table.paths]).all()


def test_the_val_folder_is_dissolved(root):
    table = module(root, val_fraction=0.25).samples
    official = np.char.startswith(table.paths, "val/")
    assert official.sum() == 2 and set(table.split[official]) <= {"train", "val"}
    assert (table.split == "val").sum() > 4
    assert (table.split[np.char.startswith(table.paths, "test/")] == "test").all()


def test_a_patient_is_one_whatever_the_prefix_or_the_cause(root):
    table = module(root).samples
    images = {patient: set(table.paths[table.patients == patient]) for patient in set(table.patients)}
    assert images["train/IM-0001"] == {
        "train/NORMAL/IM-0001-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0001-0002.jpeg",
        "val/NORMAL/NORMAL2-IM-0001-0009.jpeg",
    }
    assert len(images["train/person1"]) == 2  # one bacterial, one viral
    assert images["train/person1"].isdisjoint(images["test/person1"])
    for patient in images:
        assert len(set(table.split[table.patients == patient])) == 1


def test_three_classes(root, tmp_path):
    data = module(root, causes=True)
    table = data.samples
    causes = np.array(["NORMAL", "bacteria", "virus"])[table.targets]
    assert all(cause in path for cause, path in zip(causes, table.paths, strict=True))
    other = build(tmp_path)
    (other / "chest_xray/train/PNEUMONIA/person5.jpeg").write_bytes(b"")
    with pytest.raises(UserError, match=r"1 pneumonia images name no cause.*person5"):
        _ = module(other, causes=True).samples


def test_protocol_of_the_paper(root, monkeypatch, caplog):
    monkeypatch.setattr("transfusion_cli.datasets.kermany_chest_xray.PROTOCOL_VALIDATION", 9)
    table = module(root, protocol="partial_transfusion").samples
    assert 9 <= (table.split == "val").sum() <= 11
    assert not set(table.patients[table.rows("val")]) & set(table.patients[table.rows("train")])
    leaky = module(root, protocol="partial_transfusion", literal=True)
    table = leaky.samples
    assert (table.split == "val").sum() == 9
    assert set(table.paths[table.rows("val")]) <= set(table.paths[table.rows("train")])
    assert len(set(table.ids)) == len(table)
    assert "validation images are training images too" in caplog.text
    with pytest.raises(UserError, match="partial_transfusion"):
        module(root, literal=True)


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), KermanyChestXRayDataModule()):
        with pytest.raises(UserError, match=r"(?s)KermanyChestXRay.*mendeley.*chest_xray/\{train,test\}"):
            data.setup("fit")
