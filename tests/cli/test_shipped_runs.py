"""Every shipped config trains, tests and predicts, on data built in the real layouts."""

import csv
import json
from importlib import import_module
from pathlib import Path

import pytest
import timm
import torch
from safetensors import safe_open
from support import layouts, mask_layouts
from support.chexpert import build_chexpert
from support.commands import transfusion
from support.images import build_image_folders
from support.medmnist import build_medmnist
from support.networks import randomised

pytestmark = pytest.mark.slow

LAYOUTS = sorted(path.stem for path in Path(layouts.__file__).parent.glob("*.py") if path.stem != "__init__")
MASK_LAYOUTS = sorted(path.stem for path in Path(mask_layouts.__file__).parent.glob("*.py") if path.stem != "__init__")
PROTOCOLS = {
    "partial_transfusion_chest_xray": "kermany_chest_xray",
    "partial_transfusion_chexpert": "chexpert",
    "partial_transfusion_colorectal_histology": "kather_colorectal",
    "partial_transfusion_malaria": "malaria",
    "partial_transfusion_oct_small": "kermany_oct",
    "partial_transfusion_patch_camelyon16": "patch_camelyon",
    "partial_transfusion_patch_camelyon16_small": "patch_camelyon",
    "partial_transfusion_patch_camelyon17": "camelyon17",
    "partial_transfusion_patch_camelyon17_small": "camelyon17",
    "transfusion_chexpert": "chexpert",
    "transfusion_retina": "eyepacs",
}
STRATEGIES = ("full", "head", "bn", "meanvar", "acnorm")
QUICK = "--trainer.accelerator cpu --trainer.devices 1 --trainer.enable_progress_bar false --data.num_workers 0"
SMALL = f"{QUICK} --trainer.max_epochs 1 --data.batch_size 8"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Tiny data sets, and weights files as users have them."""
    folder = tmp_path_factory.mktemp("shipped")
    build_chexpert(folder / "CheXpert-v1.0-small", patients=40, test_patients=10)
    build_medmnist(folder / "medmnist")
    build_image_folders(folder / "my_images", classes=("benign", "malignant"), patients=12, images=2)
    state = {f"module.{name.replace('fc.', 'linear.')}": tensor for name, tensor in randomised().state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 91.78}, folder / "resnet20.th")
    torch.save(timm.create_model("resnet18", num_classes=1000).state_dict(), folder / "resnet18.pth")
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def evaluate(cli):
    """Test the best checkpoint and predict with the delta; both leave what they promise."""
    run = cli.folder.path
    transfusion(f"test --ckpt_path {run}/checkpoints/best.ckpt {QUICK}")
    results = json.loads((run / "results.json").read_text())
    assert {"value", "low", "high"} <= set(results["test/auroc"])
    assert "val/loss" in results
    transfusion(f"predict --ckpt_path {run}/checkpoints/delta.safetensors {QUICK}")
    tested, predicted = (
        list(csv.DictReader((run / name).open(newline=""))) for name in ("predictions_test.csv", "predictions.csv")
    )
    assert tested == predicted and len(tested) == results["test/samples"]["value"]
    return results, tested


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_chexpert(strategy):
    weights = "--model.backbone resnet18 --model.pretrained resnet18.pth --data.image_size 32"
    cli = transfusion(f"fit --config chexpert_{strategy} --data.root CheXpert-v1.0-small {weights} {SMALL}")
    results, rows = evaluate(cli)
    assert results["test/patients"]["value"] == 10
    assert list(rows[0])[:4] == ["id", "patient", "exam", "p_Atelectasis"]


def test_chexpert_bn_as_shipped_but_for_the_download():
    cli = transfusion(
        f"fit --config chexpert_bn --data.root CheXpert-v1.0-small --model.pretrained false {SMALL} "
        "--data.image_size 64 --trainer.limit_train_batches 1"
    )
    assert type(cli.model.network).__name__ == "DenseNet"
    assert len(cli.model.transferred.parts.batch_norm) == 121
    assert sum(p.numel() for p in cli.model.parameters() if p.requires_grad) == 83_648 + 5 * 1025


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pneumoniamnist(strategy):
    cli = transfusion(
        f"fit --config pneumoniamnist_{strategy} --data.root medmnist --model.pretrained resnet20.th {SMALL}"
    )
    evaluate(cli)
    if strategy == "bn":
        with safe_open(cli.folder.checkpoints / "delta.safetensors", framework="pt") as file:
            trained = sum(file.get_tensor(name).numel() for name in file.keys() if name.startswith("network."))  # noqa: SIM118
        assert trained == 1441


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(name, tmp_path):
    """Every data set's config on a tree in the published layout."""
    layout = import_module(f"support.layouts.{name}")
    layout.build(tmp_path)
    flags = f"--model.backbone cifar_resnet20 --model.pretrained false --data.image_size 32 {SMALL}"
    cli = transfusion(f"fit --config {name}_bn --data.root {tmp_path} {flags} {getattr(layout, 'FLAGS', '')}")
    evaluate(cli)


@pytest.mark.parametrize("name", MASK_LAYOUTS)
def test_mask_layout(name, tmp_path):
    """Every config for images with masks, on a tree in the published layout; each mask has its image's size."""
    import_module(f"support.mask_layouts.{name}").build(tmp_path / "data")
    model = "--model.backbone cifar_resnet20 --model.pretrained false --model.window 64"
    data = f"--data.root {tmp_path / 'data'} --data.patch_size 32 --data.patches_per_case 1"
    cli = transfusion(f"fit --config {name}_bn {model} {data} {SMALL}")
    run = cli.folder.path
    transfusion(f"test --ckpt_path {run}/checkpoints/best.ckpt {QUICK}")
    results = json.loads((run / "results.json").read_text())
    assert {"value", "low", "high"} <= set(results["test/dice"])
    transfusion(f"predict --ckpt_path {run}/checkpoints/delta.safetensors {QUICK}")
    samples = cli.datamodule.samples
    reader = cli.datamodule.case_reader("test")
    written = [path for path in (run / "masks").rglob("*.*") if "overlays" not in path.parts]
    assert len(written) == len(samples.rows("test"))
    assert {reader.values.read(path).shape for path in written} == {(72, 80)}


@pytest.mark.parametrize("literal", ["", "--data.literal true"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocol(name, literal, tmp_path, monkeypatch):
    """The papers' own splits; those that leak, on demand as they leaked."""
    monkeypatch.setattr("transfusion_cli.datasets.kermany_chest_xray.PROTOCOL_VALIDATION", 9)
    layout = PROTOCOLS[name]
    sound = ("patch_camelyon", "camelyon17", "eyepacs")
    if literal and (layout in sound or name == "transfusion_chexpert"):
        pytest.skip("nothing leaks there")
    built = import_module(f"support.layouts.{layout}")
    built.build(tmp_path)
    model = "--model.backbone cifar_resnet20 --model.pretrained false --model.transfer HeadOnly"
    flags = f"{model} --data.image_size 32 {SMALL}"
    cli = transfusion(f"fit --config {name} --data.root {tmp_path} {flags} {literal} {getattr(built, 'FLAGS', '')}")
    assert all(len(cli.datamodule.samples.rows(split)) for split in ("train", "val", "test"))
    assert bool(literal) == bool(cli.datamodule.known_leak)


def test_images():
    cli = transfusion(
        f"fit --config images_bn --data.root my_images --data.image_size 32 --model.backbone resnet18 "
        f"--model.pretrained resnet18.pth {SMALL}"
    )
    _results, rows = evaluate(cli)
    assert cli.model.loss.class_weights is not None
    assert {"p_malignant", "label_malignant"} <= set(rows[0])


VIT = "--model.backbone cifar_vit6.textures --model.pretrained true --data.image_size 32"


@pytest.mark.parametrize(
    ("strategy", "trained"), [("head", 0), ("norm_affine", 2496), ("lora", 27_648), ("llrd", 683_424)]
)
def test_images_with_a_transformer(strategy, trained, caplog):
    cli = transfusion(f"fit --config images_{strategy} --data.root my_images {VIT} {SMALL}")
    _results, rows = evaluate(cli)
    assert {"p_malignant", "label_malignant"} <= set(rows[0])
    head = 97
    assert sum(p.numel() for p in cli.model.parameters() if p.requires_grad) == trained + head
    assert cli.model.transferred.weights_report.complete
    caplog.clear()
    transfusion(f"check --config images_{strategy} --data.root my_images {VIT} {SMALL}")
    assert "is usual for" not in caplog.text


def test_demo():
    cli = transfusion(f"fit --config demo --data.patients 40 --data.test_patients 20 {SMALL}")
    assert (cli.folder.path / "results.json").is_file()
    assert cli.model.transferred.weights_report.source.endswith("cifar_resnet20.textures")


def test_demo_segmentation():
    data = "--data.patients 4 --data.test_patients 2 --data.image_size 64 --data.patch_size 32"
    cli = transfusion(f"fit --config demo_segmentation {data} --model.window 64 {SMALL}")
    assert "test/dice" in json.loads((cli.folder.path / "results.json").read_text())
    assert cli.model.transferred.weights_report.source.endswith("cifar_resnet20.textures")


@pytest.mark.parametrize(("name", "padding"), [("cbr_tiny", "same"), ("cbr_small", "valid")])
def test_cbr_networks_train_at_224(name, padding):
    cli = transfusion(
        f"fit --config demo --data.patients 8 --data.test_patients 2 --data.images_per_patient 1 --data.image_size 224 "
        f"--model.backbone {name} --model.backbone_args.padding {padding} --model.pretrained false "
        f"--model.transfer FullFineTuning --test_after_fit false {QUICK} --trainer.max_epochs 1 --data.batch_size 2 "
        "--data.train_size 2 --trainer.num_sanity_val_steps 0"
    )
    assert cli.trainer.global_step == 1
    assert type(cli.model.network).__name__ == "CBRNet"
