"""A stranger's checkpoint, delta, config, split or weights file runs nothing, whatever stands in it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file
from support.commands import mistake, transfusion, write_configs
from support.payloads import NAMES, PAYLOADS, Witness
from support.tiny import TinyDataModule

from transfusion_cli.cli.app import TransfusionCLI
from transfusion_cli.errors import UserError
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.trust import VARIABLE

RUN = "lightning_logs/bn/version_0"
WITNESS = Witness()

each = pytest.mark.parametrize(
    "payload",
    [
        pytest.param(payload, id=name, marks=() if number % 16 == 0 else pytest.mark.slow)
        for number, (payload, name) in enumerate(zip(PAYLOADS, NAMES, strict=True))
    ],
)
"""A few of them among the quick tests."""


def with_verbs(*verbs: str):
    """Every payload, each with a verb in turn: they read what they read alike."""
    pairs = [
        pytest.param(verb := verbs[number % len(verbs)], payload, id=f"{verb}-{name}")
        for number, (payload, name) in enumerate(zip(PAYLOADS, NAMES, strict=True))
    ]
    return pytest.mark.parametrize(("verb", "payload"), pairs)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run."""
    folder = tmp_path_factory.mktemp("stranger")
    write_configs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        transfusion("fit --config bn.yaml --data support.tiny.TinyDataModule --data.train 16 --data.other 8")
    return folder


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    """A copy of it, in the folder that the victim is in; nothing is trusted but the data module of the tests."""
    shutil.copytree(made / "lightning_logs", tmp_path / "lightning_logs", symlinks=True)
    shutil.copy(made / "base.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(VARIABLE, "support")
    WITNESS.seen.clear()
    WITNESS.plant(tmp_path)
    return tmp_path


def attempt(act) -> None:
    """Do it; a refusal is a message, and nothing else may be raised."""
    WITNESS.on = True
    try:
        act()
    except UserError as error:
        assert 1 <= len(str(error).splitlines()) <= 3, error
    except SystemExit as stop:
        assert stop.code == 2
    finally:
        WITNESS.on = False
    WITNESS.check(Path())


def tampered(path: Path, field: str, value) -> Path:
    """A checkpoint with another value in a field, ``a/b/c``; it stays one that is read without pickled code."""
    checkpoint = torch.load(path, weights_only=True)
    *way, last = field.split("/")
    place = checkpoint
    for name in way:
        place = place[name]
    place[last] = value
    torch.save(checkpoint, path)
    return path


ARGUMENTS = ("optimizer", "lr_scheduler", "transfer", "backbone", "pretrained", "backbone_args", "class_weights")
ARGUMENTS += ("image_size", "dropout", "in_chans", "seed", "target", "_class_path", "_instantiator", "unknown")
OWN = ("backbone", "input_size", "carried", "base", "phases", "class_names", "target", "metrics", "split", "optimizer")
OWN += ("plateau", "epoch_loss")


@each
def test_a_checkpoint_given_to_python(payload, home):
    original = home / RUN / "checkpoints/best.ckpt"
    for field in [f"hyper_parameters/{name}" for name in ARGUMENTS] + [f"transfusion/{name}" for name in OWN]:
        path = tampered(Path(shutil.copy(original, home / "x.ckpt")), field, payload)
        attempt(lambda path=path: ClassificationTask.load_from_checkpoint(path, weights_only=True))


def test_a_checkpoint_given_to_a_data_module(home):
    """Lightning would import and call ``_instantiator``."""
    (home / "evil.py").write_text("raise AssertionError('imported')")
    path = tampered(home / RUN / "checkpoints/best.ckpt", "datamodule_hyper_parameters", {"_instantiator": "evil.call"})
    with pytest.raises(UserError, match=r"Build them: TinyDataModule\(root"):
        TinyDataModule.load_from_checkpoint(path)


@pytest.mark.slow
@with_verbs("test", "validate", "predict", "fit", "check", "analyze")
def test_a_checkpoint_given_to_a_command(verb, payload, home, monkeypatch):
    """As far as building everything; what is named is imported and called by then, or never."""
    monkeypatch.setattr(TransfusionCLI, "_run_subcommand", lambda cli, verb: None)
    original = home / RUN / "checkpoints/last.ckpt"
    for field in ("optimizer", "lr_scheduler", "transfer", "backbone_args"):
        path = tampered(Path(shutil.copy(original, home / "x.ckpt")), f"hyper_parameters/{field}", payload)
        command = f"analyze {path} --what filters --out out" if verb == "analyze" else f"{verb} --ckpt_path {path}"
        command += " --config base.yaml"
        attempt(lambda command=command: transfusion(command))


@pytest.mark.slow
@with_verbs("test", "fit", "check", "analyze")
def test_the_config_beside_a_checkpoint(verb, payload, home, monkeypatch):
    monkeypatch.setattr(TransfusionCLI, "_run_subcommand", lambda cli, verb: None)
    path = home / RUN / "config.yaml"
    config = yaml.safe_load(path.read_text())
    fields = [("model", "optimizer"), ("model", "transfer"), ("data",), ("trainer", "callbacks"), ("trainer", "logger")]
    fields += [("data", "augmentation")]
    fields += [("trainer", "plugins"), ("trainer", "strategy"), ("early_stopping",), ("model",)]
    for field in fields:
        changed = json.loads(json.dumps(config))
        place = changed
        for name in field[:-1]:
            place = place[name]
        place = place.get("init_args", place) if field[0] in ("model", "data") and len(field) > 1 else place
        place[field[-1]] = payload
        path.write_text(yaml.safe_dump(changed))
        delta = home / RUN / "checkpoints/delta.safetensors"
        command = f"analyze {delta} --what filters --out out" if verb == "analyze" else f"{verb} --ckpt_path {delta}"
        if verb == "fit":
            command = command.replace("delta.safetensors", "last.ckpt")
        attempt(lambda command=command: transfusion(command))


def test_augmentation_named_by_a_run(home, capsys):
    """Its transforms are imported by us and not by jsonargparse."""
    path = home / RUN / "config.yaml"
    config = yaml.safe_load(path.read_text())
    (home / "planted.py").write_text("raise AssertionError('imported')")
    for spec in (["planted.Flip"], [{"OneOf": {"transforms": [{"class_path": "planted.Flip"}]}}]):
        config["data"]["init_args"]["augmentation"] = spec
        path.write_text(yaml.safe_dump(config))
        attempt(lambda: transfusion(f"fit --ckpt_path {RUN}/checkpoints/last.ckpt --trainer.max_epochs 3"))
    command = f"fit --ckpt_path {RUN}/checkpoints/last.ckpt --trainer.max_epochs 3 --trust planted"
    assert "imported" in mistake(command, capsys)


@each
def test_a_delta(payload, home):
    path = home / RUN / "checkpoints/delta.safetensors"
    with safe_open(path, framework="pt") as file:
        # clones: what is mapped into memory goes when its file is written over
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
        metadata = file.metadata()
    text = payload if isinstance(payload, str) else json.dumps(payload)
    for field in ("task", "base_source", "base_sha256", "format"):
        save_file(tensors, path, {**metadata, field: text})
        attempt(lambda: ClassificationTask.load_from_checkpoint(path))
    own = json.loads(metadata["task"])
    for field in own:
        save_file(tensors, path, {**metadata, "task": json.dumps({**own, field: payload})})
        attempt(lambda: ClassificationTask.load_from_checkpoint(path))


@each
def test_a_split_file(payload, home, monkeypatch):
    monkeypatch.setattr(TransfusionCLI, "_run_subcommand", lambda cli, verb: cli.datamodule.setup("test"))
    text = payload if isinstance(payload, str) else json.dumps(payload)
    path = home / RUN / "split.csv"
    path.write_text(path.read_text().replace("s0,", f"{json.dumps(text)},", 1))
    attempt(lambda: transfusion(f"test --ckpt_path {RUN}/checkpoints/best.ckpt"))


@each
def test_weights(payload, home):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    from transfusion_cli.models.weights_file import read_weights

    for field in ("mean", "std", "input_size", "format", "anything"):
        save_file({"a": torch.zeros(1)}, home / "w.safetensors", {field: text})
        attempt(lambda: read_weights(home / "w.safetensors"))
    torch.save({"state_dict": {"a": torch.zeros(1)}, "arch": payload, "hyper_parameters": payload}, home / "w.pth")
    attempt(lambda: read_weights(home / "w.pth"))


@pytest.mark.parametrize("name", ["config_1.yaml", "checkpoints/.last.ckpt.partial", "results.json", "metrics.csv"])
def test_links_in_a_run_are_not_written_through(name, home, capsys):
    outside = home / "outside.txt"
    outside.write_text("mine")
    link = home / RUN / name
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    for verb in (
        "fit --ckpt_path {}/checkpoints/last.ckpt --trainer.max_epochs 2",
        "test --ckpt_path {}/checkpoints/best.ckpt",
    ):
        attempt(lambda verb=verb: transfusion(verb.format(RUN)))
        told = capsys.readouterr().err
        assert "is a link" in told or "is not a config" in told
    assert outside.read_text() == "mine" and link.is_symlink()


def test_what_is_trusted_is_used(home):
    """The same door, opened by its owner."""
    (home / "mine.py").write_text(
        "from transfusion_cli.strategies import FullFineTuning\nclass Mine(FullFineTuning): ...\n"
    )
    path = tampered(home / RUN / "checkpoints/best.ckpt", "hyper_parameters/transfer", {"class_path": "mine.Mine"})
    with pytest.raises(UserError, match="--trust mine"):
        ClassificationTask.load_from_checkpoint(path)
    task = ClassificationTask.load_from_checkpoint(path, trust=["mine"])
    assert type(task.transfer.strategies[0]).__name__ == "Mine"
