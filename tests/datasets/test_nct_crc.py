import shutil

import numpy as np
import pytest
from support.layouts.nct_crc import CLASSES, build

from transfusion_cli.datasets import NCTCRCDataModule
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nct_crc"))


def module(root, **kwargs):
    return NCTCRCDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def test_trains_on_one_set_and_tests_on_the_other(root):
    table = module(root, val_fraction=0.2).samples
    assert len(table) == 9 * 8
    tested = table.split == "test"
    assert (tested == np.char.startswith(table.paths, "CRC-VAL-HE-7K/")).all() and tested.sum() == 18
    assert (table.split == "val").sum() == 11  # a fifth of 54
    assert [CLASSES[label] for label in table.targets] == [path.split("/")[-2] for path in table.paths]
    assert not any("preview" in path or "NONORM" in path for path in table.paths)


def test_says_that_validation_leaks(root, caplog):
    table = module(root).samples
    assert table.patients is None
    assert "validation tiles are of patients trained on" in caplog.text
    assert "validation tiles" in NCTCRCDataModule.__doc__


def test_tiles_that_are_not_normalised(root, tmp_path):
    table = module(root, normalised=False).samples
    training = table.paths[table.split != "test"]
    assert len(training) == 18 and np.char.startswith(training, "NCT-CRC-HE-100K-NONORM/").all()
    assert (table.split == "test").sum() == 18
    other = build(tmp_path)
    shutil.rmtree(other / "NCT-CRC-HE-100K")
    with pytest.raises(UserError, match=r"no images of ADI, BACK.* in .*NCT-CRC-HE-100K\n.*zenodo"):
        _ = module(other).samples
    assert (module(other, normalised=False).samples.paths == table.paths).all()


def test_an_archive_unpacked_into_a_folder_of_its_name(root, tmp_path):
    inner = tmp_path / "data/NCT-CRC-HE-100K"
    shutil.copytree(root / "NCT-CRC-HE-100K", inner / "NCT-CRC-HE-100K")
    shutil.copytree(root / "CRC-VAL-HE-7K", tmp_path / "data/CRC-VAL-HE-7K")
    table = module(tmp_path).samples
    assert len(table) == 9 * 8
    reader = module(tmp_path).make_reader("train", (32, 32))
    assert reader(0).shape == (28, 28, 3)


def test_missing_data_say_where_to_get_them(root, tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), NCTCRCDataModule()):
        with pytest.raises(UserError, match=r"(?s)NCTCRC.*zenodo.*side by side"):
            data.setup("fit")
    other = build(tmp_path)
    shutil.rmtree(other / "CRC-VAL-HE-7K")
    with pytest.raises(UserError, match=r"no images of ADI.*CRC-VAL-HE-7K"):
        _ = module(other).samples
    build(tmp_path)
    shutil.rmtree(other / "NCT-CRC-HE-100K/MUS")
    with pytest.raises(UserError, match="no images of MUS in"):
        _ = module(other).samples
