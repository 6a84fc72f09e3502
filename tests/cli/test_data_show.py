"""``transfusion data show``: a sheet, always the same, that never writes over another."""

import numpy as np
from PIL import Image
from support.commands import mistake, transfusion
from support.images import build_image_folders

DEMO = "data show --config demo --data.patients 8 --data.test_patients 4 --count 3"


def test_sheet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, second = transfusion(DEMO), transfusion(DEMO)
    assert [first.name, second.name] == ["sheet.png", "sheet_1.png"]
    assert first.read_bytes() == second.read_bytes()
    assert "Written to sheet_1.png: 3 samples of the train split." in capsys.readouterr().out
    pixels = np.asarray(Image.open(first).convert("L"))
    assert min(pixels.shape) > 500 and pixels.std() > 30
    other = transfusion(f"{DEMO} --seed_everything 7 --out other.png")
    assert other.read_bytes() != first.read_bytes()
    assert transfusion(f"{DEMO} --split test --out test.png").name == "test.png"


def test_fewer_images_than_a_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build_image_folders(tmp_path / "data", patients=5)
    transfusion("data show --config images_bn --data.root data --count 2 --epochs 1")
    assert (tmp_path / "sheet.png").is_file()


def test_images_that_cannot_be_read_are_crossed_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    paths = sorted(build_image_folders(tmp_path / "data", patients=5).rglob("*.png"))
    for path in paths[::2]:
        path.write_bytes(path.read_bytes()[:200])
    paths[1].unlink()
    transfusion("data show --config images_bn --data.root data --count 20 --epochs 1 --out some.png")
    said = capsys.readouterr().out
    assert "Written to some.png" in said and "Not a readable image: data/" in said
    assert np.asarray(Image.open("some.png").convert("L")).std() > 10
    for path in paths[3::2]:
        path.unlink()
    transfusion("data show --config images_bn --data.root data --count 2 --out none.png")
    assert (tmp_path / "none.png").is_file() and capsys.readouterr().out.count("\n") >= 3


def test_mistakes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "--out must end in .png" in mistake(f"{DEMO} --out sheet.pdf", capsys)
    assert "no folder nowhere" in mistake(f"{DEMO} --out nowhere/sheet.png", capsys)
    assert "--count must be at least 1" in mistake(f"{DEMO} --count 0", capsys)
    assert "--split" in mistake(f"{DEMO} --split tset", capsys)
    assert not list(tmp_path.iterdir())
