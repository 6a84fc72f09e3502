"""What ``check`` and ``fit`` say of the images before anything trains."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.commands import mistake, transfusion
from support.layouts.kermany_chest_xray import build

FLAGS = "--config images_bn --data.root images --data.table t.csv --data.image_size 16 --data.num_workers 0"
FLAGS += " --model.backbone cifar_resnet20 --model.pretrained false --trainer.accelerator cpu --trainer.max_epochs 1"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Forty images of 12 bits in files of 16, and their table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 4096, (16, 16)).astype(np.uint16)).save(f"images/{number}.png")
    table = pd.DataFrame({"image": [f"{n}.png" for n in range(40)], "label": ["sick", "well"] * 20})
    table.to_csv("images/t.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("verb", ["check", "fit"])
def test_images_of_fewer_bits_than_their_files(verb, home, caplog):
    transfusion(f"{verb} {FLAGS}")
    assert "look like 12-bit images in 16-bit files" in caplog.text and '--data.window "[2047.5, 4095]"' in caplog.text
    caplog.clear()
    transfusion(f"{verb} {FLAGS} --data.window '[2047.5, 4095]'")
    assert "12-bit" not in caplog.text


@pytest.mark.parametrize("verb", ["check", "fit"])
def test_images_that_are_not_there(verb, home, capsys):
    for number in range(7):
        (home / "images" / f"{number}.png").unlink()
    message = mistake(f"{verb} {FLAGS}", capsys)
    assert "7 of 40 images are not there" in message
    assert not (home / "lightning_logs" / "images_bn").exists()


def test_a_table_as_spreadsheets_and_kaggle_write_it(home, capsys, caplog):
    """Semicolons, UTF-16, ids in place of paths, decimal commas, a last row of nothing: one flag is all it takes."""
    rows = "".join(f"{number};{number % 2},0;{number}\r\n" for number in range(40))
    (home / "images" / "t.csv").write_text(f"id_code;diagnosis;age\r\n{rows};;\r\n", encoding="utf-16")
    message = mistake(f"check {FLAGS}", capsys)
    assert message.endswith(
        "No column 'label'\nin images/t.csv\ndiagnosis looks like one (--data.label_columns NAME)\n"
    )
    with caplog.at_level("INFO"):
        transfusion(f"check {FLAGS} --data.label_columns diagnosis")
    assert "Data: ImageTableDataModule, binary: 0, 1" in capsys.readouterr().out
    assert "images: column id_code; --data.image_column NAME takes another" in caplog.text
    assert "images: 40 of 40 that images/t.csv names are found below images, for example 0 as 0.png" in caplog.text


def words(output: str) -> str:
    (line,) = [line for line in output.splitlines() if line.strip().startswith("split ")]
    return line.partition("; ")[2]


def test_check_says_whether_patients_keep_to_one_split(home, capsys):
    table = pd.read_csv("images/t.csv")
    transfusion(f"check {FLAGS}")
    assert words(capsys.readouterr().out) == "no patients are known, so that images of one may be in two splits"
    table.assign(patient=[f"p{n // 2}" for n in range(40)]).to_csv("images/t.csv", index=False)
    transfusion(f"check {FLAGS}")
    assert words(capsys.readouterr().out) == "no patient is in two splits"


def test_check_counts_patients_who_are_in_two_splits_on_purpose(tmp_path, monkeypatch, capsys):
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    flags = "--config partial_transfusion_chest_xray --data.literal true --data.root . --data.image_size 16"
    flags += " --model.backbone cifar_resnet20 --model.pretrained false --trainer.accelerator cpu"
    transfusion(f"check {flags}")
    assert "patients are in two splits or more" in words(capsys.readouterr().out)
