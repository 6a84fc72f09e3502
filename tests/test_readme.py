"""Every command of the README works, in the order in which it stands there, on small data in the real layouts."""

import itertools
import re
import shlex
import sys
from pathlib import Path

import pytest
import timm
import torch
from support.chexpert import build_chexpert
from support.commands import transfusion
from support.images import build_image_folders, build_image_table
from support.medmnist import build_medmnist

from transfusion_cli.cli.main import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^ {4,}((?:transfusion|make|tensorboard|srun) .*?)(?: +#.*)?$", README, re.MULTILINE)
COMMANDS += re.findall(r"`(transfusion \w[^`]+)`", README)
SMALL = (
    "--trainer.accelerator cpu --trainer.devices 1 --trainer.max_epochs 1 --trainer.enable_progress_bar false "
    "--data.batch_size 8 --data.num_workers 0 --data.image_size 32 "
    "--model.backbone resnet18 --model.pretrained resnet18.pth"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """What the README's user has: a CheXpert in the home folder, images, a table, a strategy of their own."""
    folder = tmp_path_factory.mktemp("readme")
    build_chexpert(folder / "CheXpert-v1.0-small", patients=40, test_patients=10)
    build_image_folders(folder / "my_images", classes=("benign", "malignant"), patients=12, images=2)
    build_image_table(folder / "my_table")
    build_image_folders(folder / "new_images", classes=("a_folder",), patients=2)
    build_medmnist(folder / ".medmnist", "pneumoniamnist")
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
            small = (
                SMALL if not {"--ckpt_path", "--resume"} & {*words} else "--trainer.max_epochs 2 --data.num_workers 0"
            )
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
            assert "Written to" in capsys.readouterr().out
        case "runs":
            transfusion(shlex.join(words))
            assert "finished" in capsys.readouterr().out
        case "compare":
            transfusion(shlex.join(words))
            assert "up_to_block1" in capsys.readouterr().out
        case "analyze":
            folder = transfusion(f"{shlex.join(words)} --device cpu --data.num_workers 0")
            assert (folder / "similarity.csv").is_file() and list(folder.glob("*.png"))
        case "data":
            transfusion(f"{shlex.join(words)} --data.num_workers 0")
            said = {"check": "Nothing was written", "show": "sheet", "prepare": "data_cache"}[words[1]]
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
