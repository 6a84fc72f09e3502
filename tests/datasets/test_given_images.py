"""Images without labels, read as a run read its own."""

import csv
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from support.commands import mistake, transfusion
from support.images import build_image_folders, picture, save_dicom, save_picture

from transfusion_cli.cli.config.resume import with_checkpoint
from transfusion_cli.datasets.aptos2019 import APTOS2019DataModule
from transfusion_cli.datasets.given_images import GivenImages
from transfusion_cli.datasets.image_table import ImageTableDataModule
from transfusion_cli.datasets.kermany_oct import KermanyOCTDataModule
from transfusion_cli.errors import UserError

SMALL = "--trainer.accelerator cpu --trainer.devices 1 --trainer.max_epochs 1 --trainer.num_sanity_val_steps 0"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run on grey images of 24 x 24 pixels, whose data are gone."""
    folder = tmp_path_factory.mktemp("given")
    build_image_folders(folder / "mine", patients=6)
    shown = shutil.copytree(folder / "mine", folder / "shown")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        data = "--data.root mine --data.image_size 24 --data.resize crop --data.channels 1 --data.num_workers 0"
        model = "--model.backbone cifar_resnet20 --model.pretrained false --model.transfer FullFineTuning"
        transfusion(f"fit --config images_bn {data} {model} --data.batch_size 8 {SMALL}")
        transfusion("predict lightning_logs/images_bn --data.num_workers 0 --trainer.accelerator cpu")
    shutil.move(folder / "mine", folder / "gone")
    save_picture(shown / "deeper/still/later.jpeg", 1, size=(40, 90))
    save_dicom(shown / "deeper/slice.dcm", picture(2, depth=12), 12)
    (shown / "deeper/broken.png").write_text("nothing")
    for hidden in (".cut.png", "__MACOSX/x.png", ".cache/x.png"):
        save_picture(shown / hidden, 3)
    return folder


def table(path):
    with path.open(newline="") as file:
        return {row.pop("path" if "path" in row else "id"): row for row in csv.DictReader(file)}


def test_a_folder_without_labels_or_table(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    cli = transfusion("predict images_bn/latest --input shown --data.num_workers 1 --trainer.accelerator cpu")
    captured = capsys.readouterr()
    written = captured.out.splitlines()[-1].removeprefix("Written to ")
    left_out = (
        "1 of 27 images could not be read and are left out, for example\nNot a readable image: shown/deeper/broken"
    )
    assert left_out in captured.err
    found = table(cli.folder.path / written)
    assert len(found) == 26 and {"deeper/still/later.jpeg", "deeper/slice.dcm"} <= set(found)
    assert not any(name.startswith((".", "__MACOSX")) or "broken" in name for name in found)
    assert set(found["deeper/slice.dcm"]) == {"p_sick"}
    # What the run said of its test images, when it still knew their labels.
    known = table(cli.folder.path / "predictions.csv")
    assert len(known) >= 4
    for name, row in known.items():
        assert float(found[name]["p_sick"]) == pytest.approx(float(row["p_sick"]), rel=1e-5), name


def test_one_image_and_none(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    run = home / "lightning_logs/images_bn/version_0"
    flags = "--data.num_workers 0 --trainer.accelerator cpu"
    transfusion(f"predict images_bn --input shown/deeper/still/later.jpeg {flags}")
    assert list(table(run / capsys.readouterr().out.split("/")[-1].strip())) == ["later.jpeg"]
    before = sorted(run.glob("predictions*"))
    message = mistake(f"predict images_bn --input shown/deeper/broken.png {flags}", capsys)
    assert "1 of 1 images could not be read" in message and "broken.png" in message
    assert sorted(run.glob("predictions*")) == before
    (home / "empty").mkdir()
    with pytest.raises(UserError, match="no images in empty"):
        _ = GivenImages("empty", ImageTableDataModule(), "binary", ["a", "b"]).samples
    with pytest.raises(UserError, match="and no --config"):
        with_checkpoint("predict", f"--ckpt_path {run}/checkpoints/best.ckpt --input shown --config x".split())


@pytest.mark.parametrize(
    "like",
    [
        ImageTableDataModule(channels=1, window=(1000, 500)),
        ImageTableDataModule(channels=3),
        APTOS2019DataModule(local_average=0.05),
        KermanyOCTDataModule(),
    ],
    ids=["window", "colour", "fundus", "trimmed"],
)
def test_files_are_read_as_the_source_reads_its_own(like, tmp_path):
    """Compared with the reader of the source itself, on the same file."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(picture(0, (90, 120), depth=16)).save(tmp_path / "b.png")
    given = GivenImages(str(tmp_path), like, like.target if like.__class__ is not ImageTableDataModule else "binary",
                        ["x", "y"], image_size=32, num_workers=0)  # fmt: skip
    like.image_size = 32
    like.look_at(given.samples)
    like.__dict__["folder"] = tmp_path
    if isinstance(like, ImageTableDataModule):
        like.root = tmp_path
        del like.__dict__["folder"]
    theirs = like.make_reader("predict", like.size)
    for row, item in enumerate(given.predict_dataloader().dataset):
        mine = given.make_reader("predict", given.size)(row)
        assert np.array_equal(mine, theirs(row)) and item["index"] == row
        assert item["image"].shape == (like.in_chans, 32, 32)


@pytest.mark.parametrize("target", ["binary", "multilabel", "multiclass", "ordinal"])
def test_unknown_labels_of_every_kind(target, tmp_path):
    save_picture(tmp_path / "a.png", 0)
    (tmp_path / "b.png").write_text("nothing")
    names = ["a", "b"] if target == "binary" else ["a", "b", "c"]
    given = GivenImages(str(tmp_path), ImageTableDataModule(), target, names, image_size=8, num_workers=0)
    batch = next(iter(given.predict_dataloader()))
    assert batch["index"].tolist() == [0, -2] and batch["image"].shape == (2, 3, 8, 8)
    if target in ("multiclass", "ordinal"):
        assert batch["target"].tolist() == [-1, -1]
    else:
        width = 1 if target == "binary" else 3
        assert batch["target"].shape[1] in (width,) and torch.isnan(batch["target"]).all()
