import os
import time

import numpy as np
import pandas as pd
import pytest
from support.images import build_image_table
from support.tiny import TinyDataModule

from transfusion_cli.data.readers import FileReader
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


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda name: name.replace("/", "\\"), "write them with / in the table"),
        (lambda name: name.removesuffix(".png"), "The paths lack their ending: there is 000_0.png"),
    ],
)
def test_what_may_be_wrong_is_told(table, change, advice):
    frame = pd.read_csv(table)
    frame.assign(image=frame["image"].map(change)).to_csv(table, index=False)
    what, told = missing_remark(module(table)).splitlines()
    assert what.startswith("24 of 24 images") and told.endswith(advice)


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

    def make_reader(self, split):
        return FileReader(self.root, self.samples.paths, 1)


def test_a_hundred_thousand_in_seconds(tmp_path):
    paths = as_text(f"patient{i // 5:05d}/{i}.png" for i in range(100_000))
    for folder in range(0, 20_000, 40):
        (tmp_path / f"patient{folder:05d}").mkdir()
        (tmp_path / f"patient{folder:05d}/{5 * folder}.png").touch()
    start = time.process_time()
    assert len(missing_rows(Listed(tmp_path, paths))) == 99_500
    assert time.process_time() - start < 10
