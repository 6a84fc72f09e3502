"""Whole runs through ``main([...])``: fit, what it saves, and every verb on that."""

import json
import shutil
import sys

import pytest
import torch
import yaml
from support.commands import mistake, ran_once, transfusion


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder in which ``fit`` ran once."""
    command = "fit --config bn.yaml --model.optimizer.lr 0.05 --test_after_fit true"
    return ran_once(tmp_path_factory.mktemp("home"), command)


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


OWN = """\
data: TinyDataModule
model: {optimizer: {class_path: Adam, init_args: {lr: 0.3}}}
"""

RUN = "lightning_logs/bn/version_0"


def test_the_run_folder(home):
    run = home / RUN
    for name in ("config.yaml", "environment.json", "split.csv", "results.json", "checkpoints/best.ckpt"):
        assert (run / name).is_file(), name
    assert (home / "lightning_logs/bn/latest/checkpoints").resolve() == (run / "checkpoints").resolve()
    assert "test/auroc" in json.loads((run / "results.json").read_text())
    assert not (home / "checkpoints").exists()


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
@pytest.mark.parametrize("config", ["", f"--config {RUN}/config.yaml"])
def test_saved_config_serves_every_verb(verb, config):
    cli = transfusion(f"{verb} {config} --ckpt_path {RUN}/checkpoints/best.ckpt")
    # What training alone needs is not taken from the run, unless its config was asked for.
    assert cli.own.model.init_args.optimizer.init_args.lr == (0.05 if config else 0.001)
    assert cli.own.name == "bn"
    assert cli.model.evaluation is not None


@pytest.mark.slow
def test_fit_from_the_saved_config_is_a_new_run(home):
    before = {path: path.read_bytes() for path in (home / RUN).rglob("*") if path.is_file()}
    cli = transfusion(f"fit --config {RUN}/config.yaml")
    assert cli.folder.path.parent == (home / RUN).parent.relative_to(home)
    assert cli.folder.path.name != "version_0"
    assert before == {path: path.read_bytes() for path in (home / RUN).rglob("*") if path.is_file()}
    first, second = (
        torch.load(path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for path in (home / RUN, cli.folder.path)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_resume_goes_on_in_the_same_folder(home):
    cli = transfusion("fit --config bn.yaml --name resumed")
    run = cli.folder.path
    again = transfusion(f"fit --ckpt_path {run}/checkpoints/last.ckpt --trainer.max_epochs 2")
    assert again.folder.path.resolve() == run.resolve()
    assert again.trainer.current_epoch == 2
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 1
    assert yaml.safe_load((run / "config_1.yaml").read_text())["trainer"]["max_epochs"] == 2
    for epochs, flags in ((2, ""), (3, " --trainer.max_epochs 3"), (3, "")):  # an extension counts from then on
        again = transfusion(f"fit --ckpt_path {run}/checkpoints/last.ckpt{flags}")
        assert again.trainer.max_epochs == again.trainer.current_epoch == epochs
    assert transfusion(f"test --ckpt_path {run}/checkpoints/best.ckpt").own.trainer.max_epochs == 3


def test_a_run_that_validates_nothing_is_known_by_its_last_epoch(home, capsys, caplog, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["transfusion"])  # as people start it; what comes next is told in their words
    transfusion("fit --config bn.yaml --name blind --trainer.limit_val_batches 0")
    closing = capsys.readouterr().out
    assert (
        "not known, for want of a validation; the last is kept, lightning_logs/blind/version_0/checkpoints/last.ckpt"
        in closing
    )
    assert "transfusion test lightning_logs/blind" in closing
    transfusion("test lightning_logs/blind")
    assert "blind/version_0 has validated nothing: its last epoch is evaluated." in caplog.text
    assert (
        "lightning_logs/blind/version_0/checkpoints/last.ckpt"
        in (home / "lightning_logs/blind/version_0/results.json").read_text()
    )


@pytest.mark.slow
def test_going_on_from_the_best_checkpoint_is_a_run_of_its_own(home):
    run = transfusion("fit --config bn.yaml --name branched").folder.path
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    branch = transfusion(f"fit --ckpt_path {run}/checkpoints/best.ckpt --trainer.max_epochs 2")
    assert branch.folder.path.name == "version_1" and branch.trainer.current_epoch == 2
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("flags", "lr", "strategy"),
    [
        ("", 0.05, "BatchNormAffine"),  # nothing but the checkpoint
        ("--model.optimizer.lr 5", 5.0, "BatchNormAffine"),  # a flag
        ("--config own.yaml", 0.3, "BatchNormAffine"),  # a config, which says nothing of the strategy
        ("--config own.yaml --model.optimizer.lr 5 --model.transfer HeadOnly", 5.0, "HeadOnly"),  # both
    ],
)
@pytest.mark.parametrize("moved", [False, True])
def test_checkpoint_then_config_then_flags(flags, lr, strategy, moved, home, monkeypatch):
    from transfusion_cli.cli.app import TransfusionCLI

    monkeypatch.setattr(TransfusionCLI, "instantiate_classes", lambda cli: None)
    monkeypatch.setattr(TransfusionCLI, "_run_subcommand", lambda cli, verb: None)
    (home / "own.yaml").write_text(OWN)
    checkpoint = home / RUN / "checkpoints/last.ckpt"
    if moved:  # away from its config.yaml, which would have named the data
        checkpoint = shutil.copy(checkpoint, home / "moved.ckpt")
        flags = flags if "--config" in flags else f"--data TinyDataModule {flags}"
    cli = transfusion(f"fit --ckpt_path {checkpoint} {flags}")
    model = cli.own.model.init_args
    assert model.optimizer.init_args.lr == lr
    assert model.transfer.class_path.endswith(strategy)
    assert model.backbone == "cifar_resnet20"


def test_check_tells_and_writes_nothing(home, capsys):
    before = sorted(home.rglob("*"))
    transfusion("check --config bn.yaml")
    out = capsys.readouterr().out
    assert "1,441 train" in out
    assert "BatchNorm statistics: frozen" in out
    assert "16 images of 8 patients" in out
    assert sorted(home.rglob("*")) == before


def test_check_finds_what_only_building_shows(capsys):
    message = mistake("check --config bn.yaml --model.backbone vit_tiny_patch16_224", capsys)
    assert "BatchNorm" in message


def test_lightnings_own_complaints_are_short_and_leave_no_folder(home, capsys):
    command = "fit --config bn.yaml --name warped --trainer.accelerator warp"
    assert "invalid accelerator" in mistake(command, capsys)
    assert not (home / "lightning_logs/warped").exists()


def test_a_run_that_cannot_begin_leaves_no_folder(home, capsys):
    command = "fit --config bn.yaml --name lost --data.image_size 16 --model.backbone vit_tiny_patch16_224"
    assert "BatchNorm" in mistake(command, capsys)
    assert not (home / "lightning_logs/lost").exists()


def test_without_checkpoints_and_loggers(home):
    cli = transfusion("fit --config bn.yaml --name bare --trainer.enable_checkpointing false --trainer.logger false")
    assert not list(cli.folder.path.rglob("*.ckpt"))
    assert not list(cli.folder.path.glob("events*"))


def test_pickled_code_is_refused(home, capsys):
    torch.save({"hyper_parameters": {}, "f": print}, home / "evil.ckpt")
    assert "pickled code" in mistake("test --config bn.yaml --ckpt_path evil.ckpt", capsys)


def test_a_fixed_input_follows_the_size_of_the_images(home):
    cli = transfusion(
        "check --config base.yaml --model.backbone vit_tiny_patch16_224 --data.image_size 32 --model.transfer HeadOnly"
    )
    assert cli.model.network.patch_embed.img_size == (32, 32)


def test_a_missing_root_is_said_before_weights_are_fetched(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    message = mistake("fit --config chexpert_bn --data.root nowhere --trainer.accelerator cpu", capsys)
    assert "nowhere" in message and "train.csv" in message
    assert not (tmp_path / "lightning_logs" / "chexpert_bn").exists()
