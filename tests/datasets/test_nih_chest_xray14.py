import logging
import shutil

import numpy as np
import pandas as pd
import pytest
from support.layouts.nih_chest_xray14 import HEADER, build

from transfusion_cli.datasets import NIHChestXRay14DataModule
from transfusion_cli.datasets.nih_chest_xray14 import FINDINGS
from transfusion_cli.errors import UserError

TABLE = "Data_Entry_2017.csv"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nih"))


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def module(root, **kwargs):
    return NIHChestXRay14DataModule(root=str(root), num_workers=0, image_size=16, batch_size=8, **kwargs)


def edit(root, change):
    (root / TABLE).write_text(change((root / TABLE).read_text()))
    return module(root)


def test_targets_are_whole_names(root):
    table = module(root).samples
    rows = dict(line.split(",")[:2] for line in (root / TABLE).read_text().splitlines()[1:])
    for name, targets in zip(table.ids, table.targets, strict=True):
        assert {label for label, has in zip(FINDINGS, targets, strict=True) if has} == (
            set(rows[name].split("|")) - {"No Finding"}
        )
    assert (table.targets.sum(axis=1) == 0).any()  # No Finding


def test_some_findings_alone_in_the_order_asked_for(root):
    everything, data = module(root).samples, module(root, labels=["Pneumothorax", "Pneumonia"])
    assert data.class_names == ["Pneumothorax", "Pneumonia"]
    columns = [list(FINDINGS).index(name) for name in data.class_names]
    np.testing.assert_array_equal(data.samples.targets, everything.targets[:, columns])
    with pytest.raises(UserError, match="Did you mean Effusion"):
        module(root, labels=["Efusion"])


@pytest.mark.parametrize("bad", ["Effusio|Mass", "Pneumo", "No Finding|Mass", ""])
def test_an_unknown_finding_names_the_row(copy, bad):
    lines = (copy / TABLE).read_text().split("\n")
    cells = lines[5].split(",")
    lines[5] = ",".join([cells[0], bad, *cells[2:]])
    with pytest.raises(UserError, match=r"column 'Finding Labels', row 6 \(1 such rows\)"):
        _ = edit(copy, lambda _: "\n".join(lines)).samples


@pytest.mark.parametrize("ends", ["both", "neither", "rows", "header"])
def test_commas_in_and_after_the_header(root, copy, ends):
    """With and without the empty last column, in the header, in the rows or in both; Sex for Gender; the newer name."""
    header, *lines = (copy / TABLE).read_text().splitlines()
    assert header == HEADER and header.endswith(",")
    header = header.replace("Gender", "Sex").removesuffix("" if ends in ("both", "header") else ",")
    lines = [line.removesuffix("" if ends in ("both", "rows") else ",") for line in lines]
    (copy / TABLE).unlink()
    (copy / "Data_Entry_2017_v2020.csv").write_text("\n".join([header, *lines]))
    table, expected = module(copy).samples, module(root).samples
    np.testing.assert_array_equal(table.ids, expected.ids)
    np.testing.assert_array_equal(table.targets, expected.targets)
    np.testing.assert_array_equal(table.patients, expected.patients)


def test_official_lists(root, caplog):
    data = module(root, val_fraction=0.25)
    table = data.samples
    listed = (root / "test_list.txt").read_text().split()
    assert set(table.ids[table.rows("test")]) == set(listed)
    val = set(table.patients[table.rows("val")])
    assert len(val) == 7 and not val & set(table.patients[table.rows("train")])
    assert table.patients[0] == "00000001"
    assert not caplog.records
    assert data.published["test"] == 25596


def test_without_the_lists_patients_are_held_out_with_a_warning(copy, caplog):
    (copy / "test_list.txt").unlink()
    data = module(copy, test_fraction=0.5)
    table = data.samples
    assert len(set(table.patients[table.rows("test")])) == 21
    assert "test patients are drawn at random" in caplog.text
    assert "test" not in data.published


def test_images_in_neither_list_are_in_no_split(copy, caplog):
    lines = (copy / "train_val_list.txt").read_text().splitlines()
    (copy / "train_val_list.txt").write_text("\n".join(lines[2:]))
    assert (module(copy).samples.split == "").sum() == 2
    assert "2 images are in neither list" in caplog.text


def test_lists_that_share_a_patient_are_refused(copy):
    lines = (copy / "test_list.txt").read_text().splitlines()
    (copy / "test_list.txt").write_text("\n".join(["00000001_001.png", *lines]))
    names = (copy / "train_val_list.txt").read_text().splitlines()
    (copy / "train_val_list.txt").write_text("\n".join(name for name in names if name != "00000001_001.png"))
    with pytest.raises(UserError, match="in more than one split, for example '00000001'"):
        _ = module(copy).samples


def test_view_position(root):
    views = dict(line.split(",")[::6][:2] for line in (root / TABLE).read_text().splitlines()[1:])
    ids = module(root, view_position="AP").samples.ids
    assert set(ids) == {name for name, view in views.items() if view == "AP"}


@pytest.mark.parametrize("layout", ["twelve folders", "one folder", "no inner folders"])
def test_finds_images_where_they_lie(copy, layout):
    if layout == "one folder":
        (copy / "images").mkdir()
        for path in sorted(copy.glob("images_*/images/*.png")):
            path.rename(copy / "images" / path.name)
    if layout == "no inner folders":
        for path in sorted(copy.glob("images_*/images/*.png")):
            path.rename(path.parents[1] / path.name)
    data = module(copy)
    assert all((copy / path).is_file() for path in data.samples.paths)
    assert not any(path.startswith("images-224") for path in data.samples.paths)
    data.setup("fit")
    assert next(iter(data.train_dataloader()))["image"].shape == (8, 1, 16, 16)


def test_lists_each_folder_once_and_asks_for_no_single_file(root, monkeypatch):
    from pathlib import Path

    asked = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **kwargs: asked.append(self.suffix) or stat(self, **kwargs))
    _ = module(root).samples
    assert ".png" not in asked


def test_missing_images_are_counted_and_named(copy, tmp_path, caplog):
    for name in ("00000004_000", "00000004_001", "00000009_001"):
        next(copy.glob(f"images_*/images/{name}.png")).unlink()
    message = r"3 of 84 images are missing, for example '00000004_000.png'\nlisted in .*Data_Entry_2017.csv\n.*exclude"
    with pytest.raises(UserError, match=message):
        _ = module(copy).samples
    (tmp_path / "out.txt").write_text("00000004_000.png\n00000004_001.png\n00000009_001.png\n")
    with caplog.at_level(logging.WARNING):
        assert (module(copy, exclude=str(tmp_path / "out.txt")).samples.split == "").sum() == 3
    assert "3 of 84 images are missing" in caplog.text


def test_missing_data_say_where_to_get_them(copy, tmp_path):
    shutil.rmtree(copy / "images_001"), shutil.rmtree(copy / "images_002")
    for data in (module(tmp_path / "nowhere"), module(copy), NIHChestXRay14DataModule()):
        with pytest.raises(UserError, match=r"(?s)NIHChestXRay14.*nihcc.*Data_Entry_2017.csv"):
            data.setup("fit")


def test_reads_a_table_as_long_as_the_real_one_in_seconds(tmp_path):
    import time

    n = 112_120
    rng = np.random.default_rng(0)
    names = [f"{i // 4:08d}_{i % 4:03d}.png" for i in range(n)]
    kinds = ["No Finding", *FINDINGS, *(f"{a}|{b}" for a in FINDINGS for b in FINDINGS if a != b)]
    frame = pd.DataFrame(
        {"Image Index": names, "Finding Labels": rng.choice(kinds, n), "Patient ID": np.arange(n) // 4}
    )
    frame.to_csv(tmp_path / TABLE, index=False)
    (tmp_path / "images").mkdir()
    for name in names[:10]:
        (tmp_path / "images" / name).touch()
    (tmp_path / "out.txt").touch()
    start = time.process_time()
    assert len(module(tmp_path, exclude=str(tmp_path / "out.txt")).samples) == n
    assert time.process_time() - start < 10
