"""Later commands follow the split of the run, whatever became of the data."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.commands import mistake, transfusion

pytestmark = pytest.mark.slow

COMMAND = "fit --config images_bn --data.root images --data.image_size 16 --data.augmentation null --data.num_workers 0"
COMMAND += " --model.backbone cifar_resnet20 --model.pretrained false --trainer.max_epochs 1 --trainer.accelerator cpu"
RUN = "lightning_logs/images_bn/version_0"
BEST = f"--ckpt_path {RUN}/checkpoints/best.ckpt"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A table of 40 images without patients, in a folder of its own, and a run on it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(41):
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(f"images/{number}.png")
    write(range(40))
    transfusion(f"{COMMAND} --data.table table.csv")
    return tmp_path


def write(numbers, path="images/table.csv", **columns):
    """A table of these images; every second one is sick."""
    numbers = list(numbers)
    labels = ["sick" if number % 2 else "well" for number in numbers]
    frame = pd.DataFrame({"image": [f"{number}.png" for number in numbers], "label": labels, **columns})
    frame.to_csv(path, index=False)


def looked_at() -> set[str]:
    """Samples of the newest test."""
    files = Path(RUN).glob("predictions_test*.csv")
    return set(pd.read_csv(max(files, key=lambda f: f.stat().st_mtime_ns))["id"])


def held_back() -> set[str]:
    frame = pd.read_csv(Path(RUN) / "split.csv", keep_default_na=False)
    return set(frame[frame["split"] == "test"]["id"])


def results(number: int | None = None) -> dict:
    return json.loads((Path(RUN) / f"results{'' if number is None else f'_{number}'}.json").read_text())


def test_shuffled_rows_another_seed_and_one_image_more_test_the_same(home):
    expected = held_back()
    assert len(expected) == 8
    write(np.random.default_rng(1).permutation(41))
    for number, flags in enumerate(("", "--data.split_seed 5", "--data.test_fraction 0.5 --data.train_fraction 0.5")):
        transfusion(f"test {BEST} {flags}")
        assert looked_at() == expected, flags
        got = results(number or None)["provenance"]
        assert got["own_split"] is True and got["root"] == "images" and got["checkpoint"].endswith("best.ckpt")
        assert got["split_sha256"] == got["run_split_sha256"] and len(got["checkpoint_sha256"]) == 64


def test_a_run_goes_on_with_its_own_split(home, caplog):
    before = (Path(RUN) / "split.csv").read_bytes()
    write(range(41))
    last = f"--ckpt_path {RUN}/checkpoints/last.ckpt"
    cli = transfusion(f"fit {last} --trainer.max_epochs 2 --data.split_seed 3 --test_after_fit true")
    assert "1 samples are new since the run" in caplog.text
    assert (Path(RUN) / "split.csv").read_bytes() == before and not (Path(RUN) / "split_1.csv").exists()
    assert set(cli.datamodule.samples.ids[cli.datamodule.samples.rows("test")]) == held_back() == looked_at()
    assert results()["provenance"]["own_split"] is True


def test_what_was_trained_on_is_refused_and_never_compared(home, capsys):
    frame = pd.read_csv(Path(RUN) / "split.csv", keep_default_na=False)
    swapped = frame["split"].map({"train": "test", "test": "train", "val": "val"})
    write([int(name[:-4]) for name in frame["id"]], "images/swapped.csv", split=swapped)
    transfusion(f"test {BEST} --data.table swapped.csv")
    assert looked_at() == held_back()
    own = results()["test/auroc"]["value"]
    message = mistake(f"test {BEST} --data.table swapped.csv --split data", capsys)
    assert "were trained on" in message and "--split data_unchecked" in message
    transfusion(f"test {BEST} --data.table swapped.csv --split data_unchecked")
    assert len(looked_at() & set(frame[frame["split"] == "train"]["id"])) == (frame["split"] == "train").sum()
    assert results(1)["provenance"]["own_split"] is False
    assert "not all of the samples that the run held back, or others" in capsys.readouterr().out
    (group,) = transfusion("compare images_bn")
    assert group.measures["test/auroc"].mean == own


def test_other_data_have_a_split_of_their_own(home, capsys):
    write(range(40), "images/other.csv")
    for number in range(40):
        (home / "images" / f"{number}.png").rename(home / "images" / f"other{number}.png")
    frame = pd.read_csv("images/other.csv").assign(image=lambda f: "other" + f["image"], split="test")
    for number in range(4):
        shutil.copy(f"images/other{number}.png", f"images/moreother{number}.png")
    pd.concat([frame, frame.iloc[:4].assign(image="more" + frame["image"], split="train")]).to_csv(
        "images/other.csv", index=False
    )
    transfusion(f"test {BEST} --data.table other.csv")
    assert len(looked_at()) == 40 and results()["provenance"]["own_split"] is False
    last = f"--ckpt_path {RUN}/checkpoints/last.ckpt"
    assert "trained on other data" in mistake(f"fit {last} --data.table other.csv", capsys)


def test_fit_takes_no_other_split(home, capsys):
    message = mistake(f"fit --ckpt_path {RUN}/checkpoints/last.ckpt --split data", capsys)
    assert "Leave out --split data" in message


def test_a_checkpoint_alone_cannot_tell_what_it_was_trained_on(home, capsys):
    (Path(RUN) / "checkpoints/best.ckpt").rename(home / "alone.ckpt")
    write(np.random.default_rng(1).permutation(40))
    flags = COMMAND.removeprefix("fit") + " --data.table table.csv"
    cli = transfusion(f"test --ckpt_path alone.ckpt {flags}")
    assert json.loads((cli.folder.path / "results.json").read_text())["provenance"]["own_split"] is True
    cli = transfusion(f"test --ckpt_path alone.ckpt {flags} --data.split_seed 5")
    assert json.loads((cli.folder.path / "results.json").read_text())["provenance"]["own_split"] is None
    assert "cannot be known" in capsys.readouterr().out


def test_a_patient_who_is_in_two_splits_by_now_is_told(home, capsys):
    frame = pd.read_csv(Path(RUN) / "split.csv", keep_default_na=False)
    numbers = [int(name[:-4]) for name in frame["id"]]
    patients = [f"p{number}" for number in numbers]
    patients[int((frame["split"] == "test").to_numpy().argmax())] = patients[int((frame["split"] == "train").argmax())]
    write(numbers, patient=patients)
    message = mistake(f"test {BEST}", capsys)
    assert "images in test and train of the run's split" in message and "--data.exclude" in message
