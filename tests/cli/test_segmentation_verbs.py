"""What commands that look at data, networks and runs make of masks and volumes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.commands import mistake, transfusion

pytestmark = pytest.mark.slow

RUN = "lightning_logs/demo_segmentation/version_0"
EYES = "--data.patients 4 --data.test_patients 2 --data.image_size 64 --data.patch_size 32"
VOLUMES = "--data VolumePhantomDataModule --data.patients 4 --data.test_patients 2"
CPU = "--trainer.accelerator cpu --trainer.devices 1"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run of one epoch."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        quiet = "--trainer.enable_progress_bar false --test_after_fit false"
        transfusion(f"fit --config demo_segmentation {EYES} --model.window 64 --trainer.max_epochs 1 {CPU} {quiet}")
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def test_check_of_images(capsys):
    transfusion(f"check --config demo_segmentation {EYES} {CPU}")
    out = capsys.readouterr().out
    assert "Data: VesselPhantomDataModule, mask: vessel" in out and "decoder" in out
    assert "  train          6 images of 3 patients\n  val            2 images of 1 patients" in out
    assert "  patches of 32 x 32, 4 of each case in an epoch, 8 in a batch" in out
    assert "forward and backward, and one case was predicted as a whole. Nothing was written." in out


def test_check_of_volumes(capsys):
    model = "--model SegmentationTask --model.backbone cifar_resnet20 --model.pretrained false"
    transfusion(
        f"check {VOLUMES} {model} --data.patch_size 16 --model.window 64 --model.overlap 0 --data.batch_size 2 {CPU}"
    )
    out = capsys.readouterr().out
    assert "mask: liver, lesion" in out and "3 cases of 3 patients" in out and " images" not in out
    assert "  patches of 16 x 16 x 16, 4 of each case in an epoch, 2 in a batch" in out


def test_data_check(capsys):
    report = transfusion(f"data check {VOLUMES} --workers 0 --out report")
    out = capsys.readouterr().out
    table = [line.split() for line in out.strip().splitlines()[:7]]
    assert table[0] == ["VolumePhantom,", "mask", "train", "val", "test"] and table[1] == ["cases", "3", "1", "2"]
    assert table[5] == ["share", "of", "voxels"] and table[6][0] == "liver"
    assert "all 48 x 64 x 64" in out and "Spacing (z x y x x, mm): least" in out
    written = json.loads(Path("report/report.json").read_text())
    assert written["splits"]["train"]["share_of_voxels"]["liver"] > 0.01
    assert written["images"]["spacing"]["z"]["max"] == report.scan.facts["spacing"][:, 0].max()


def test_data_show(capsys):
    for number, data in enumerate((f"--config demo_segmentation {EYES}", VOLUMES)):
        path = transfusion(f"data show {data} --count 2 --epochs 1 --out {number}.png")
        assert np.asarray(Image.open(path).convert("L")).std() > 20
    assert "Written to 1.png: 2 cases of the train split." in capsys.readouterr().out


def test_analyze_compares_weights(capsys):
    folder = transfusion(f"analyze {RUN} init:{RUN}")
    moved = pd.read_csv(folder / "weights.csv").query("level == 'stage' and measure == 'l2' and role == 'weight'")
    moved = moved.set_index("stage")["value"]
    assert (moved[["block1", "block2", "block3"]] == 0).all() and (moved[["decoder1", "decoder2", "head"]] > 0).all()
    assert (folder / "first-layer-filters.png").is_file() and not (folder / "similarity.csv").exists()


def test_analyze_says_what_it_cannot_do(capsys):
    for what in ("similarity", "barrier", "robustness", "knn"):
        said = mistake(f"analyze {RUN} init:{RUN} --what {what}", capsys)
        assert "marks parts of them" in said and said.endswith("--what weights filters\n")
    said = mistake(f"analyze random:1 random:2 {VOLUMES} --model.backbone resnet18 --what knn", capsys)
    assert "--what weights" in said


def test_runs(capsys):
    transfusion("runs")
    assert "finished  1 of 1  val/dice" in capsys.readouterr().out


def test_masks_of_equal_names_lie_in_the_folders_of_their_images():
    rng = np.random.default_rng(0)
    names = ["one/eye.png", "two/eye.png", "two/eye.left.png"]
    for name in names:
        path = Path("photographs", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(path)
    transfusion(f"predict {RUN} --input photographs {CPU} --trainer.enable_progress_bar false")
    (masks,) = Path(RUN).rglob("masks")
    found = {str(path.relative_to(masks)) for path in masks.rglob("*.png")}
    overlays = {name.removeprefix("overlays/") for name in found if name.startswith("overlays/")}
    assert len(overlays) == 3 and "one/eye.png" in overlays and "two/eye.left.png" in overlays
    assert found == overlays | {f"overlays/{name}" for name in overlays}


def test_masks_are_not_calibrated(capsys):
    assert "calibrate is for labels, and this run predicts masks" in mistake(f"calibrate {RUN}", capsys)
