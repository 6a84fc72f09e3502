"""``transfusion data check`` on a tree with one of each fault, and on one without."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.commands import mistake, transfusion
from support.images import picture, save_picture


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Forty images of twenty patients with a table that splits them; nothing is wrong with them."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for patient in range(20):
        split = "train" if patient < 12 else "val" if patient < 16 else "test"
        for image in range(2):
            name = f"images/{patient:02d}_{image}.png"
            save_picture(tmp_path / name, 10 * patient + image)
            rows.append((name, ("healthy", "sick")[patient % 2], f"p{patient:02d}", split))
    write(tmp_path, rows)
    return tmp_path


def write(folder, rows):
    pd.DataFrame(rows, columns=["image", "label", "patient", "split"]).to_csv(folder / "table.csv", index=False)


def check(flags=""):
    """Exit code and report of a run."""
    command = f"data check --config images_bn --data.root . --data.table table.csv --workers 0 {flags}"
    try:
        return 0, transfusion(command)
    except SystemExit as stop:
        return stop.code, None


def test_a_clean_tree(tree, capsys):
    before = sorted(path.name for path in tree.rglob("*"))
    code, report = check()
    out = capsys.readouterr().out
    assert code == 0 and not report.findings
    table = [line.split() for line in out.strip().splitlines()[:5]]
    assert table == [
        ["ImageTable,", "binary", "train", "val", "test"],
        ["images", "24", "8", "8"],
        ["patients", "12", "4", "4"],
        ["healthy", "12", "(50.0%)", "4", "(50.0%)", "4", "(50.0%)"],
        ["sick", "12", "(50.0%)", "4", "(50.0%)", "4", "(50.0%)"],
    ]
    assert "all 20 x 24" in out and "8-bit grey (40)" in out and "2 to 2, median 2" in out
    assert "Nothing to remark." in out and "Nothing was written" in out
    assert sorted(path.name for path in tree.rglob("*")) == before


def spoil(tree):
    """Plant every fault; gives the ids of the images that carry one."""
    table = pd.read_csv(tree / "table.csv")
    images = tree / "images"
    content = (images / "00_0.png").read_bytes()
    (images / "00_0.png").write_bytes(content[: len(content) // 2])  # truncated
    (images / "01_0.png").unlink()  # missing
    Image.fromarray(picture(160)).save(images / "02_0.png", compress_level=0)  # 16_0, of the test, encoded anew
    shutil.copy(images / "03_0.png", images / "04_0.png")  # the same image, sick and healthy
    shutil.copy(images / "05_0.png", images / "05_1.png")  # twice in training
    Image.fromarray(np.full((20, 24), 7, np.uint8)).save(images / "06_0.png")  # nothing to see
    Image.fromarray(np.repeat(picture(990)[..., None], 3, 2)).save(images / "07_0.png")  # grey stored in colour
    table.loc[table["image"] == "images/19_1.png", "patient"] = "p08"  # of the training split
    table.loc[table["patient"] == "p00", "patient"] = "=HYPERLINK(1)"
    table.to_csv(tree / "table.csv", index=False)


FAULTS = {
    "unreadable": ("error", "1 images cannot be read: images/00_0.png"),
    "missing": ("error", "1 files are missing: images/01_0.png"),
    "duplicates-across-splits": ("error", "1 images are in more than one split, 2 samples: images/02_0.png"),
    "conflicting-labels": ("error", "1 images have different labels, 2 samples: images/03_0.png = images/04_0.png"),
    "patients-across-splits": ("error", "1 patients are in more than one split, with 3 images: p08"),
    "duplicates": ("warning", "1 images are there several times in one split, under the same labels, 2 samples"),
    "empty": ("warning", "1 images are nearly uniform: images/06_0.png"),
    "storage": ("note", "1 8-bit colour"),
}


def test_every_fault_is_found_and_named(tree, capsys):
    spoil(tree)
    code, _ = check("--out report")
    out = " ".join(capsys.readouterr().out.split())
    assert code == 1
    assert "5 errors, 2 warnings, 1 note." in out
    written = json.loads((tree / "report/report.json").read_text())
    found = {finding["kind"]: finding for finding in written["findings"]}
    assert list(found)[-3:] == ["duplicates", "empty", "storage"] and set(found) == set(FAULTS)
    for kind, (level, text) in FAULTS.items():
        assert found[kind]["level"] == level and text in found[kind]["message"] and found[kind]["advice"]
        assert text in out
    assert written["errors"] == 5 and written["splits"]["train"]["images"] == 24
    listed = pd.read_csv(tree / "report/problems.csv").set_index("id")
    assert listed["patient"]["images/00_0.png"] == "'=HYPERLINK(1)"  # no formula
    problems = listed["problem"]
    assert problems["images/16_0.png"] == problems["images/02_0.png"] == "duplicate-across-splits"
    assert problems["images/01_0.png"] == "missing" and problems["images/06_0.png"] == "empty"

    # What the list leaves out mends all but the patient.
    code, _ = check("--data.exclude report/exclude.txt --out report")
    assert code == 1
    [again] = [path for path in tree.iterdir() if path.name == "report_1"]
    written = json.loads((again / "report.json").read_text())
    assert [f["kind"] for f in written["findings"] if f["level"] == "error"] == ["patients-across-splits"]
    left_out = (tree / "report/exclude.txt").read_text().split()
    assert left_out == [f"images/{name}.png" for name in ("00_0", "01_0", "02_0", "03_0", "04_0", "05_1")]


def test_empty_split_and_absent_class(tree, capsys):
    table = pd.read_csv(tree / "table.csv")
    table = table[(table["split"] != "test") & ((table["split"] == "val") | (table["label"] == "healthy"))]
    table.to_csv(tree / "table.csv", index=False)
    code, _ = check("--data.test_fraction 0")
    out = capsys.readouterr().out
    assert code == 1
    assert "The test split is empty" in out and "No training sample has sick" in out


def test_the_training_subset_is_not_taken(tree, capsys):
    code, report = check("--data.train_size 4")
    assert code == 0 and report.counts["train"]["images"] == 24


def test_published_counts_leaks_and_labels_that_come_together(tmp_path, monkeypatch, capsys):
    from support.layouts.kermany_chest_xray import build

    monkeypatch.chdir(tmp_path)
    build(tmp_path / "data")
    for number, path in enumerate((tmp_path / "data/chest_xray/test").rglob("*.jpeg")):
        save_picture(path, 5000 + number)  # the generator draws some images of train again
    command = "data check --config kermany_chest_xray_bn --data.root data --workers 0"
    report = transfusion(command)
    assert [finding.kind for finding in report.findings] == ["published"]
    assert "test 24 (published 624)" in report.findings[0].message
    report = transfusion(f"{command} --data.protocol partial_transfusion --data.literal true")
    kinds = {finding.kind: finding.level for finding in report.findings}
    assert kinds == {"known-leak": "warning", "duplicates-across-splits": "warning", "published": "note"}

    capsys.readouterr()
    report = transfusion("data check --config demo --data.patients 8 --data.test_patients 8 --workers 2")
    together = report.as_dict()["co_occurrence"]
    assert together == [list(row) for row in zip(*together, strict=True)]
    out = capsys.readouterr().out
    assert "Labels together" in out and "a  Cardiomegaly" in out


def test_mistakes(tree, capsys):
    base = "data check --config images_bn --data.root . --data.table table.csv"
    assert "--workers" in mistake(f"{base} --workers some", capsys)
    assert "--workers must be at least 0" in mistake(f"{base} --workers -1", capsys)
    assert "Table not found" in mistake(base.replace("table.csv", "nowhere.csv"), capsys)
    assert "Did you mean" in mistake(f"{base} --data.bach_size 3", capsys)


def test_a_pixel_that_is_no_number(tree, capsys):
    """Found beforehand; and where nobody looked, training ends with the name of the file."""
    values = np.random.default_rng(0).random((20, 24)).astype(np.float32)
    values[3, 4] = np.nan
    Image.fromarray(values).save(tree / "images/nan.tif")
    rows = pd.read_csv(tree / "table.csv").values.tolist()
    write(tree, [*rows, ("images/nan.tif", "sick", "p99", "train")])
    code, _ = check()
    out = " ".join(capsys.readouterr().out.split())
    assert code == 1 and "1 images cannot be read: images/nan.tif (1 of its pixels are NaN or infinite)" in out
    flags = "--model.backbone cifar_resnet20 --model.pretrained false --data.image_size 16 --data.num_workers 0"
    message = mistake(
        f"fit --config images_bn --data.root . --data.table table.csv {flags} --trainer.logger false "
        "--trainer.accelerator cpu --trainer.enable_progress_bar false --trainer.enable_checkpointing false",
        capsys,
    )
    assert "images/nan.tif\n1 of its pixels are NaN or infinite" in message
