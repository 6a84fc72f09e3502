import os
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from support.images import build_image_table
from support.tiny import TinyDataModule

from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.datasets import ImageTableDataModule
from transfusion_cli.inspection.missing import missing_remark, missing_rows


def module(table, **options):
    return ImageTableDataModule(table=str(table), num_workers=0, image_size=16, **options)


@pytest.fixture
def table(tmp_path):
    return build_image_table(tmp_path, splits=True)


def test_nothing_is_missing(table):
    assert missing_remark(module(table)) is None
    assert missing_remark(TinyDataModule()) is None


def test_some(table):
    for name in ("003_1", "011_0"):
        (table.parent / f"images/{name}.png").unlink()
    data = module(table)
    assert data.samples.ids[missing_rows(data)].tolist() == ["images/003_1.png", "images/011_0.png"]
    what, advice = missing_remark(data).splitlines()
    assert what == f"2 of 24 images are not there, for example {table.parent}/images/003_1.png"
    assert "--data.root" in advice


def test_all(table, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    data = module(table, root=str(tmp_path / "elsewhere"))
    assert missing_remark(data).startswith("24 of 24 images are not there, for example ")


def rewrite(table, change):
    frame = pd.read_csv(table)
    frame.assign(image=frame["image"].map(change)).to_csv(table, index=False)
    return table


@pytest.mark.parametrize("change", [lambda name: name.replace("/", "\\"), lambda name: name.removesuffix(".png")])
def test_what_is_found_by_another_name_is_not_missing(table, change, caplog):
    before = module(table).split_frame()
    rewrite(table, change)
    with caplog.at_level("INFO"):
        data = module(table)
        assert missing_remark(data) is None
    said = f"images: 24 of 24 that {table} names are found below {table.parent}, for example {data.samples.ids[0]} as "
    assert said + "images/000_0.png" in caplog.text
    assert data.samples.ids.tolist() == before["id"].map(change).tolist()  # the table's own names stay the ids
    data.setup("fit")
    assert len(next(iter(data.train_dataloader()))["image"]) == 12


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (
            lambda name: name.replace(".png", ".dcm"),
            "Under other names 24 of these 24 are: images/000_0.png, where the table says images/000_0.dcm. "
            "Correct the table",
        ),
        (
            lambda name: f"elsewhere/{name}",
            "Under other names 24 of these 24 are: images/000_0.png, where the table says elsewhere/images/000_0.png. "
            "Correct the table",
        ),
        (lambda name: f"{name}.zarr", "Check --data.root and the paths in the table"),
    ],
)
def test_what_may_be_wrong_is_told(table, change, advice):
    what, told = missing_remark(module(rewrite(table, change))).splitlines()
    assert what.startswith("24 of 24 images are not there, for example ") and told == advice


def test_what_has_two_files_is_told(table):
    rewrite(table, lambda name: name.removeprefix("images/").removesuffix(".png"))
    shutil.copytree(table.parent / "images", table.parent / "masks")
    what, told = missing_remark(module(table)).splitlines()
    assert what.startswith("24 of 24 images")
    assert told == "It may be images/000_0.png or masks/000_0.png: take a folder that has one of them for --data.root"
    assert missing_remark(module(table, root=str(table.parent / "images"))) is None


def test_a_root_that_is_not_there(table):
    data = module(table, root=str(table.parent / "nowhere"))
    assert missing_remark(data).endswith(f"There is no folder {table.parent}/nowhere: check --data.root")


def test_what_no_folder_lists_is_looked_at(table, monkeypatch):
    """On disks that tell no case apart a file is there under names that its folder does not list."""
    monkeypatch.setattr(os, "listdir", lambda folder: [])
    assert not len(missing_rows(module(table)))


class Listed(TinyDataModule):
    """Samples with paths that nobody has."""

    def __init__(self, root, paths):
        super().__init__()
        self.root, self.paths = root, paths

    def load_samples(self):
        number = len(self.paths)
        return SampleTable(self.paths, np.ones((number, 1), np.float32), np.full(number, "test"), None, self.paths)

    def make_reader(self, split, size):
        return FileReader(self.root, self.samples.paths, 1)


def test_a_hundred_thousand_in_seconds(tmp_path):
    paths = as_text(f"patient{i // 5:05d}/{i}.png" for i in range(100_000))
    for folder in range(0, 20_000, 40):
        (tmp_path / f"patient{folder:05d}").mkdir()
        (tmp_path / f"patient{folder:05d}/{5 * folder}.png").touch()
    start = time.process_time()
    assert len(missing_rows(Listed(tmp_path, paths))) == 99_500
    assert time.process_time() - start < 10
