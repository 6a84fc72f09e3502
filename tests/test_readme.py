"""Every command of the README works, in the order in which it stands there, on small data in the real layouts."""

import ast
import itertools
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import timm
import torch
from support.chexpert import build_chexpert
from support.commands import transfusion
from support.images import build_image_folders, build_image_table, save_picture
from support.mask_layouts import masks
from support.medmnist import build_medmnist
from support.volume_layouts import nnunet

from transfusion_cli.cli.main import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^ {4,}((?:transfusion|make|tensorboard|srun) .*?)(?: +#.*)?$", README, re.MULTILINE)
COMMANDS += re.findall(r"`(transfusion \w[^`]+)`", README)
QUICK = (
    "--trainer.accelerator cpu --trainer.devices 1 --trainer.max_epochs 1 --trainer.enable_progress_bar false "
    "--data.batch_size 8 --data.num_workers 0 --model.backbone resnet18 --model.pretrained resnet18.pth"
)
SMALL = f"{QUICK} --data.image_size 32"
VIT = f"{SMALL} --model.backbone cifar_vit6.textures --model.pretrained true"
SMALLER = {
    **{f"images_{strategy}": VIT for strategy in ("head", "norm_affine", "lora", "llrd")},
    "images_bn": f"{QUICK} --data.image_size 64",  # a map of one cell explains nothing
    "demo_segmentation": f"{QUICK} --data.patients 4 --data.test_patients 1 --data.image_size 64 --data.patch_size 32",
    "masks_bn": f"{QUICK} --data.patch_size 32 --data.patches_per_case 1",
    "volumes_bn": f"{QUICK} --data.patches_per_case 1",
}
"""What makes short work of configs for transformers, and of those with masks, whose images are of any size."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """What the README's user has: a CheXpert in the home folder, images, tables, masks, a strategy of their own."""
    folder = tmp_path_factory.mktemp("readme")
    build_chexpert(folder / "CheXpert-v1.0-small", patients=40, test_patients=10)
    build_image_folders(folder / "my_images", classes=("benign", "malignant"), patients=12, images=2)
    build_image_table(folder / "my_table")
    build_image_folders(folder / "new_images", classes=("a_folder",), patients=2)
    build_medmnist(folder / ".medmnist", "pneumoniamnist")
    masks.build(folder / "my_cases", patients=5)
    shutil.copytree(folder / "my_cases" / "images", folder / "new_cases")
    nnunet.build(folder, folder="Dataset004_Hippocampus")
    rows = [
        f"{source},{target},{name},{len(source + target + name) % 7}"
        for source in ("a", "bb", "ccc", "dddd")
        for target in ("x", "yy")
        for name in ("fine_tuned_auc", "logme")
    ]
    (folder / "scores_and_outcomes.csv").write_text("\n".join(["source,target,measure,value", *rows]) + "\n")
    (folder / "outcomes.csv").write_text("source,target,value\nresnet18=resnet18.pth,a,0.9\nresnet18=random,a,0.8\n")
    torch.save(timm.create_model("resnet18", num_classes=10).state_dict(), folder / "resnet18.pth")
    (code,) = re.findall(r"```python\n(from transfusion_cli.strategies.*?)```", README, re.DOTALL)
    assert len(code.splitlines()) < 20
    (folder / "surgical.py").write_text(code)
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))


def expand(command: str) -> list[str]:
    """``transfusion list a|b`` as ``transfusion list a`` and ``transfusion list b``."""
    choices = [word for word in command.split() if re.fullmatch(r"\w+(\|\w+)+", word)]
    return [command.replace(choices[0], one) for one in choices[0].split("|")] if choices else [command]


def test_commands_are_found():
    assert len(COMMANDS) > 12
    assert {command.split()[0] for command in COMMANDS} == {"transfusion", "make", "tensorboard", "srun"}


@pytest.mark.slow
def test_every_command_in_turn(capsys):
    """One test: what a command finds is what those before it have left."""
    for command in itertools.chain(*map(expand, COMMANDS)):
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "path", [*sys.path])
                run(command, capsys)
        except BaseException as error:
            error.add_note(f"README: {command}")
            raise


def run(command, capsys):
    """Run one command, and see what it should leave or print."""
    program, *words = shlex.split(command)
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    if program == "tensorboard":
        assert words[:1] == ["--logdir"] and Path(words[1]).is_dir()
        return
    if len(words) == 1:
        assert words[0] in VERBS
        return
    if program == "srun":
        words = words[words.index("transfusion") + 1 :]
    words = [word.replace("~", str(Path.home())) for word in words]
    if program == "srun" or "ddp" in words:  # several processes: parsed here, run in tests/cli/test_processes.py
        with pytest.raises(SystemExit) as stop:
            transfusion(shlex.join([*words, "--print_config"]))
        assert stop.value.code == 0
        assert re.search(r"devices: '?4", capsys.readouterr().out)
        return
    match words[0]:
        case "fit" if "--model.transfer.help" in words:
            with pytest.raises(SystemExit) as stop:
                transfusion(shlex.join(words))
            assert stop.value.code == 0 and "head_epochs" in capsys.readouterr().out
        case "fit" | "check":
            if "--data.table" in words:
                words[words.index("my_images")] = "my_table"
                words[words.index("labels.csv")] = next(Path("my_table").glob("*.csv")).name
            name = next((word for word in words if word.startswith("configs/")), "chexpert_bn").split("/")[-1]
            small = SMALLER.get(name.removesuffix(".yaml"), SMALL)
            if {"--ckpt_path", "--resume"} & {*words}:
                small = "--trainer.max_epochs 2 --data.num_workers 0"
            cli = transfusion(f"{shlex.join(words)} {small}")
            named = words[words.index("--name") + 1] if "--name" in words else name.removesuffix(".yaml")
            assert cli.own.name == named
            if "surgical.OneBlock" in words:
                assert cli.model.phase.name == "one block"
                assert {n.split(".")[0] for n in cli.model.phase.trainable} == {"layer1", "fc"}
        case "test":
            cli = transfusion(f"{shlex.join(words)} --data.num_workers 0")
            assert (cli.folder.path / "results.json").is_file()
        case "predict":
            transfusion(f"{shlex.join(words)} --data.num_workers 0")
            said = capsys.readouterr().out
            assert "Written to" in said
            if "new_cases" in words:
                found = Path(re.findall(r"Written to (\S+)", said)[-1])
                new = {path.stem for path in Path("new_cases").iterdir()}
                assert {path.stem for path in found.glob("*.png")} == new
                assert len(list(found.glob("*.npz"))) == len(list((found / "overlays").iterdir())) == len(new)
        case "export":
            transfusion(shlex.join(words))
            assert f"Written to {words[words.index('--output') + 1]}" in capsys.readouterr().out
        case "explain":
            path = transfusion(f"{shlex.join(words)} --data.num_workers 0")
            assert (path / "maps.csv").is_file() and "Rank correlation" in capsys.readouterr().out
        case "calibrate":
            path = transfusion(f"{shlex.join(words)} --data.num_workers 0")
            assert path.is_file() and "Written to" in capsys.readouterr().out
        case "runs":
            transfusion(shlex.join(words))
            assert "finished" in capsys.readouterr().out
        case "compare":
            transfusion(shlex.join(words))
            assert "up_to_block1" in capsys.readouterr().out
        case "rank" if "--table" in words:
            transfusion(shlex.join(words))
            assert "static ranking" in capsys.readouterr().out
        case "rank":
            # Published weights are fetched; --outcomes takes runs of one recipe, which those before it are not.
            words = [word for word in words if word not in ("resnet50.a1_in1k", "densenet121.ra_in1k")]
            words = [word.replace("lightning_logs/images_bn", "outcomes.csv") for word in words]
            small = "--data.num_workers 0 --data.image_size 32 --halves 2 --device cpu --features features"
            folder = transfusion(f"{shlex.join(words)} {small}")
            assert (folder / "winner.yaml").is_file() and "resnet18=random:1" in capsys.readouterr().out
        case "analyze":
            folder = transfusion(f"{shlex.join(words)} --device cpu --data.num_workers 0")
            assert (folder / "similarity.csv").is_file() and list(folder.glob("*.png"))
        case "data":
            transfusion(f"{shlex.join(words)} --data.num_workers 0")
            cache = words[words.index("--data.cache") + 1] if "--data.cache" in words else "data_cache"
            said = {"check": "Nothing was written", "show": "sheet", "prepare": f"--data.cache {cache}"}[words[1]]
            assert said in capsys.readouterr().out
        case "help":
            with pytest.raises(SystemExit) as stop:
                transfusion(shlex.join(words))
            assert stop.value.code == 0 and "--trainer.max_epochs" in capsys.readouterr().out
        case "list" | "completion":
            transfusion(shlex.join(words))
            assert len(capsys.readouterr().out) > 200
        case verb:
            pytest.fail(f"no test for the verb {verb}")


def test_the_python_example_gives_a_timm_state_dict(home):
    (code,) = re.findall(r"```python\n(import torch.*?)```", README, re.DOTALL)
    transfusion(f"fit --config images_bn --data.root my_images {SMALL}")
    exec(compile(code, "README.md", "exec"), {})
    state = torch.load("resnet50.pth", weights_only=True)
    timm.create_model("resnet18", num_classes=1).load_state_dict(state, strict=True)


@pytest.mark.slow
def test_what_is_taken_away_gives_the_answers_of_the_run(home, capsys):
    transfusion(f"fit --config images_bn --data.root my_images {SMALL}")
    sizes = {"timm": (32, 32), "onnx": (40, 48), "torchscript": (40, 48)}  # Pillow resizes unlike OpenCV
    for kind, size in sizes.items():
        save_picture(Path("scans") / f"{kind}.png", 5, size)
    cli = transfusion("predict lightning_logs/images_bn/latest --input scans --data.num_workers 0")
    answers = dict(zip(cli.datamodule.samples.ids, cli.model.evaluation.probabilities[:, 0].tolist(), strict=True))
    for kind in sizes:
        (code,) = re.findall(rf'```python\n((?:(?!```).)*"(?:local-dir:)?taken_{kind}.*?)```', README, re.DOTALL)
        assert len([line for line in code.splitlines() if line]) <= 12
        shutil.rmtree(f"taken_{kind}", ignore_errors=True)
        transfusion(f"export lightning_logs/images_bn/latest --format {kind} --output taken_{kind}")
        shutil.copy(Path("scans") / f"{kind}.png", "scan.png")
        capsys.readouterr()
        exec(compile(code, "README.md", "exec"), {})
        ((label, found),) = ast.literal_eval(capsys.readouterr().out).items()
        assert label == "malignant"
        assert found == pytest.approx(answers[f"{kind}.png"], abs=1e-5)
