"""``export``: files that do what the run did, or none."""

import csv
import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from support.adapted import drawn_file
from support.commands import mistake, ran_once, transfusion
from support.decided import fitted_on
from support.runs import make_segmentation, make_task
from support.tiny import TinyDataModule

from transfusion_cli.cli import exported
from transfusion_cli.cli.export import KINDS
from transfusion_cli.errors import UserError
from transfusion_cli.export import formats
from transfusion_cli.export.trained_run import can_be_exported
from transfusion_cli.metrics.decisions.calibration import Calibration
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.reports.provenance import file_hash
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.classification import ClassificationTask

OWN, TIMMS, PROMPTED = (f"lightning_logs/{name}/version_0" for name in ("base", "timms", "prompted"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with three runs: our own backbone, one of timm's under AC-Norm, a transformer with prompts."""
    folder = ran_once(tmp_path_factory.mktemp("home"), "fit --config base.yaml --test_after_fit true")
    file = drawn_file(folder, "test_resnet")
    timms = f"--name timms --model.backbone test_resnet --model.pretrained {file} --model.transfer ACNorm"
    prompted = "--name prompted --model.backbone cifar_vit6 --model.transfer VisualPromptTuning --data.kind multiclass"
    for more in (f"{timms} --test_after_fit true", prompted):
        ran_once(folder, f"fit --config base.yaml --data.image_size 32 {more}")
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def given(run: str) -> tuple[np.ndarray, np.ndarray]:
    """The test images (N, 1, H, W) as a stranger prepares them, 0 to 255, and the run's predictions (N, L) of them."""
    data = TinyDataModule(train=16, other=8, image_size=32)
    data.setup("test")
    images = np.stack([sample["image"].numpy() for sample in data.image_set("test")]).astype(np.float32)
    with open(f"{run}/predictions_test.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == data.samples.ids[data.samples.rows("test")].tolist()
    return images, np.array([[float(value) for key, value in row.items() if key.startswith("p_")] for row in rows])


def everything() -> set[Path]:
    return set(Path().rglob("*"))


def test_onnx_gives_the_predictions_of_the_test(home, capsys):
    path = transfusion(f"export {OWN} --format onnx")
    said = capsys.readouterr().out
    assert "8 images of the run's val split" in said and f"Written to {OWN}/export/onnx/" in said
    images, want = given(OWN)
    session = onnxruntime.InferenceSession(path / "model.onnx")
    for number in (1, 8):
        _, got = session.run(None, {"image": images[:number]})
        np.testing.assert_allclose(got, want[:number], atol=1e-5)
    about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert about["class_names"] == ["negative", "positive"] and about["outputs"]["probabilities"] == ["positive"]
    assert (about["preprocessing"]["height"], about["preprocessing"]["channels"]) == (32, 1)
    assert "thresholds" not in about
    content = (path / "model.onnx").read_bytes()
    assert str(home).encode() not in content and b"site-packages" not in content and b".py" not in content


def test_torchscript_gives_them_too(home):
    path = transfusion(f"export {OWN} --format torchscript")
    images, want = given(OWN)
    said = {"about.json": ""}
    network = torch.jit.load(str(path / "model.pt"), _extra_files=said)
    np.testing.assert_allclose(network(torch.from_numpy(images))[1].detach(), want, atol=1e-5)
    assert json.loads(said["about.json"])["preprocessing"]["channels"] == 1
    assert b"site-packages" not in (path / "model.pt").read_bytes()
    assert [file.name for file in path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("kind", ["timm", "hf"])
def test_timm_gives_them_too(kind, home):
    path = transfusion(f"export {TIMMS} --format {kind}")
    images, want = given(TIMMS)
    network = timm.create_model(f"local-dir:{path}", pretrained=True).eval()
    data = timm.data.resolve_model_data_config(network)
    assert (data["input_size"], data["crop_mode"], data["crop_pct"]) == ((3, 32, 32), "squash", 1.0)
    assert network.pretrained_cfg["label_names"] == ["positive"]
    prepared = torch.from_numpy(images).expand(-1, 3, -1, -1) / 255
    mean, std = (torch.tensor(data[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        got = network((prepared - mean) / std).sigmoid()
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert "license" not in json.loads((path / "config.json").read_text())["pretrained_cfg"]
    assert str(home) not in "".join(file.read_text() for file in path.iterdir() if file.suffix != ".safetensors")


def test_the_model_card_is_filled():
    card = (transfusion(f"export {TIMMS} --format hf") / "README.md").read_text()
    best = torch.load(f"{TIMMS}/checkpoints/best.ckpt", weights_only=True)
    results = json.loads(Path(f"{TIMMS}/results.json").read_text())
    patients = len({f"p{row // 2}" for row in range(16, 24)})
    for said in (
        "library_name: timm",
        f"| val | 8 | {patients} |",
        "test_resnet_drawn.pth, SHA-256 of the tensors",
        "`ACNorm`",
        best["transfusion"]["split"],
        f"| auroc | {results['test/auroc']['value']:.3f} |",
        "# license: to be chosen",
        "logits.sigmoid()",
    ):
        assert said in card
    assert 'model = timm.create_model("local-dir:PATH"' in card


def test_it_is_tested_or_says_that_it_was_not(tmp_path, home):
    shutil.copytree(TIMMS, tmp_path / "timms" / "version_0")
    (tmp_path / "timms" / "version_0" / "results.json").unlink()
    path = transfusion(f"export {tmp_path}/timms --format hf")
    assert "The run was not tested" in (path / "README.md").read_text()


def test_a_backbone_of_ours_is_not_for_timm(capsys):
    before = everything()
    for kind in ("timm", "hf"):
        said = mistake(f"export {OWN} --format {kind}", capsys)
        assert said.startswith("cifar_resnet20 is an architecture that timm alone does not know")
        assert f"transfusion export {OWN} --format onnx" in said
    assert everything() == before


def test_prompts_stay_in_what_is_recorded_and_are_not_for_timm(capsys):
    assert "What VisualPromptTuning trained" in mistake(f"export {PROMPTED} --format timm", capsys)
    for kind in ("onnx", "torchscript"):
        path = transfusion(f"export {PROMPTED} --format {kind}")
    session = onnxruntime.InferenceSession(path.parent / "onnx" / "model.onnx")
    images = given(TIMMS)[0]
    _, ours = session.run(None, {"image": images})
    _, theirs = torch.jit.load(str(path / "model.pt"))(torch.from_numpy(images))
    task = ClassificationTask.load_from_checkpoint(f"{PROMPTED}/checkpoints/best.ckpt")
    with torch.no_grad():
        want = task(task.normalise(torch.from_numpy(images) / 255)).softmax(1)
    assert ours.shape == (8, 3)
    np.testing.assert_allclose(ours, want, atol=1e-5)
    np.testing.assert_allclose(theirs.detach(), want, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_gives_something_else_is_refused_and_leaves_nothing(kind, monkeypatch, capsys):
    def wrong(task):
        with torch.no_grad():
            task.network.get_classifier().bias.add_(3e-5)
        return fold(task)

    fold = formats.fold
    monkeypatch.setattr(formats, "fold", wrong)
    before = everything()
    assert "gives other logits than the run" in mistake(f"export {TIMMS} --format {kind} --output other", capsys)
    assert everything() == before


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_network_that_knows_one_number_of_images_is_refused(kind, monkeypatch, capsys):
    class One(torch.nn.Module):
        def forward(self, x):
            return x.mean((1, 2, 3))[:, None] + torch.zeros(len(x), 1)

    def wrong(task):
        task.network = One()
        return []

    monkeypatch.setattr(formats, "fold", wrong)
    before = everything()
    assert "cannot be recorded" in mistake(f"export {OWN} --format {kind} --output other", capsys)
    assert everything() == before


def test_what_is_there_stays(tmp_path):
    first = transfusion(f"export {OWN} --format torchscript --output {tmp_path}/taken")
    content = (first / "model.pt").read_bytes()
    second = transfusion(f"export {OWN}/checkpoints/best.ckpt --format torchscript --output {tmp_path}/taken")
    assert (first.name, second.name) == ("taken", "taken_1")
    assert (first / "model.pt").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "taken_1"]


def test_a_delta_is_enough(tmp_path):
    shutil.copytree(TIMMS, tmp_path / "timms" / "version_0")
    for name in ("best.ckpt", "last.ckpt"):
        (tmp_path / "timms" / "version_0" / "checkpoints" / name).unlink()
    ours, theirs = (transfusion(f"export {run} --format timm") for run in (TIMMS, tmp_path / "timms"))
    assert (ours / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()


def test_without_its_images_random_ones_are_compared(tmp_path, monkeypatch, capsys, caplog):
    def gone(args):
        raise UserError("The images are gone\nand more")

    monkeypatch.setattr(exported, "RunData", gone)
    with caplog.at_level(logging.WARNING):
        path = transfusion(f"export {OWN} --format torchscript --output {tmp_path}/taken")
    assert "random ones are compared: The images are gone" in caplog.text
    assert "16 random images" in capsys.readouterr().out
    shape = torch.jit.load(str(path / "model.pt"))(torch.zeros(1, 3, 32, 32))[0].shape
    assert shape == (1, 1)


def test_what_validation_decided_goes_with_it(tmp_path, caplog):
    best = Path(OWN) / "checkpoints/best.ckpt"
    calibration, threshold = {"positive": Calibration("platt", 0.5, -1.0)}, {"positive": 0.125}
    origin = fitted_on(checkpoint_sha256=file_hash(best))
    found = Decisions("binary", ("positive",), calibration, threshold, "0.125", origin)
    written = Path(OWN) / "decisions.json"
    try:
        written.write_text(json.dumps(found.as_json()))
        path = transfusion(f"export {OWN} --format onnx --output {tmp_path}/taken")
        written.write_text(json.dumps(replace(found, fitted_on=fitted_on(checkpoint_sha256="0" * 64)).as_json()))
        with caplog.at_level(logging.WARNING):
            without = transfusion(f"export {OWN} --format onnx --output {tmp_path}/without")
    finally:
        written.unlink()
    session = onnxruntime.InferenceSession(path / "model.onnx")
    logits, _, calibrated = session.run(["logits", "probabilities", "calibrated"], {"image": given(OWN)[0]})
    np.testing.assert_allclose(calibrated, 1 / (1 + np.exp(1 - 0.5 * logits)), atol=1e-6)
    about = {entry.key: json.loads(entry.value) for entry in onnx.load(path / "model.onnx").metadata_props}
    assert about["thresholds"] == {"positive": 0.125}
    assert (about["calibration"]["scale"], about["calibration"]["shift"]) == ([0.5], [-1.0])
    assert "fitted for another checkpoint: they are left out" in caplog.text
    assert len(onnxruntime.InferenceSession(without / "model.onnx").get_outputs()) == 2


def test_runs_of_other_kinds_are_refused_by_name(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(UserError, match="run of SegmentationTask"):
        can_be_exported(make_segmentation(tmp_path), run)
    with pytest.raises(UserError, match="on volumes"):
        can_be_exported(make_task(tmp_path, dims=3), run)
    task = make_task(tmp_path)
    assert can_be_exported(task, run) is task


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = mistake(f"export {OWN} --format onnx", capsys)
    assert "onnxruntime" in said and 'pip install "transfusion-cli[export]"' in said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"export {OWN}", "In which format?\nGive --format timm | hf | onnx | torchscript"),
        (f"export {OWN} --format onxx", "There is no format 'onxx'.\nDid you mean onnx?"),
        ("export --format onnx", "RUN"),
        ("export nothing --format timm", "There is no run 'nothing'"),
        (f"export {OWN} --format timm --data.rot x", "rot"),
    ],
)
def test_mistakes(command, said, capsys):
    before = everything()
    assert said in mistake(command, capsys)
    assert everything() == before


def test_formats_are_told_without_importing_them():
    assert list(KINDS) == list(formats.FORMATS)


ALONE = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "transfusion_cli":
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
import numpy as np
given = np.load("given.npz")
images, want = given["images"], given["want"]
if sys.argv[1] == "onnx":
    import onnxruntime
    found = onnxruntime.InferenceSession(sys.argv[2] + "/model.onnx").run(["probabilities"], {"image": images})[0]
    assert "torch" not in sys.modules
else:
    import timm, torch
    from timm.data import resolve_model_data_config
    network = timm.create_model("local-dir:" + sys.argv[2], pretrained=True).eval()
    said = resolve_model_data_config(network)
    mean, std = (torch.tensor(said[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    images = torch.from_numpy(images).expand(-1, 3, -1, -1) / 255
    found = network((images - mean) / std).sigmoid().detach().numpy()
assert not [name for name in sys.modules if name.startswith("transfusion_cli")]
assert found.shape == want.shape, (found.shape, want.shape)
print(np.abs(found - want).max())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "run"), [("onnx", OWN), ("timm", TIMMS)])
def test_a_process_without_this_package_gives_the_predictions(kind, run, home, tmp_path):
    path = transfusion(f"export {run} --format {kind} --output {tmp_path}/taken")
    images, want = given(run)
    np.savez(tmp_path / "given.npz", images=images, want=want)
    command = [sys.executable, "-I", "-c", ALONE, kind, str(path)]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1e-5
