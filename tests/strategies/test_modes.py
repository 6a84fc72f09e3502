"""The ten modes of Kanavati & Tsuneki (2021), each a few lines of YAML."""

import pytest
import torch
from jsonargparse import ArgumentParser
from support.networks import source_file
from support.runs import make_task, make_trainer, moved, snapshot
from support.tiny import TinyDataModule

import transfusion_cli.strategies as strategies
from transfusion_cli.strategies.base import TransferStrategy

# name: (YAML, expected phases as (parameters, statistics), learning rates of the groups, statistics move)
MODES = {
    "fc": ("class_path: HeadOnly", [("head", "frozen")], False),
    "fc_then_full": (
        "{class_path: FullFineTuning, init_args: {statistics: frozen, head_epochs: 1, head_early_stop: true,"
        " head_lr: 1.0e-3, lr: 1.0e-5}}",
        [("head", "frozen"), ("all", "frozen")],
        False,
    ),
    "fc_then_bn": (
        "{class_path: BatchNormAffine, init_args: {head_epochs: 1}}",
        [("head", "frozen"), ("affine", "frozen")],
        False,
    ),
    "fc_then_bn_lr": (
        "{class_path: BatchNormAffine, init_args: {head_epochs: 1, head_early_stop: true, lr: 1.0e-5}}",
        [("head", "frozen"), ("affine", "frozen")],
        False,
    ),
    "bn_and_fc": ("class_path: BatchNormAffine", [("affine", "frozen")], False),
    "moving_bn_and_fc": (
        "{class_path: HeadOnly, init_args: {statistics: update, momentum: 0.05}}",
        [("head", "update")],
        True,
    ),
    "fc_then_full_bnt": (
        "{class_path: FullFineTuning, init_args: {head_epochs: 1, head_lr: 1.0e-3, lr: 1.0e-5}}",
        [("head", "frozen"), ("all", "update")],
        True,
    ),
    "fc_then_bn_bnt": (
        "{class_path: BatchNormAffine, init_args: {statistics: update, momentum: 0.01, head_epochs: 1}}",
        [("head", "frozen"), ("affine", "update")],
        True,
    ),
    "random_weights_bn_and_fc": (
        "[{class_path: RandomInit}, {class_path: BatchNormAffine, init_args: {statistics: frozen_all}}]",
        [("affine", "frozen_all")],
        False,
    ),
    "random_weights_bn_training_and_fc": (
        "[{class_path: RandomInit}, {class_path: BatchNormAffine, init_args: {statistics: update, momentum: 0.01}}]",
        [("affine", "update")],
        True,
    ),
}


def parse(yaml: str) -> TransferStrategy | list[TransferStrategy]:
    """Instantiate strategies as the command line does."""
    assert strategies.__all__  # short class names resolve for imported classes only
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--transfer", type=TransferStrategy | list[TransferStrategy])
    return parser.instantiate_classes(parser.parse_args([f"--transfer={yaml}"])).transfer


@pytest.mark.parametrize("mode", MODES)
def test_what_trains_moves_and_stays(mode, tmp_path):
    yaml, phases, statistics_move = MODES[mode]
    task = make_task(tmp_path, parse(yaml))
    task.build()
    before = snapshot(task)
    affine = {n for n in before if ".bn" in f".{n}" and n.endswith((".weight", ".bias"))}
    head = {"fc.weight", "fc.bias"}
    everything = {n for n, _ in task.network.named_parameters()}
    expected = {"head": head, "affine": affine | head, "all": everything}
    assert [(set(p.trainable), p.statistics) for p in task.plan] == [(expected[k], s) for k, s in phases]
    assert len(affine) == 38

    make_trainer(tmp_path, epochs=len(phases)).fit(task, datamodule=TinyDataModule(train=24, other=8))
    after = snapshot(task)
    buffers = {n for n in before if "running_" in n or "num_batches" in n}
    assert moved(before, after) == expected[phases[-1][0]] | (buffers if statistics_move else set())


@pytest.mark.parametrize("mode", ["random_weights_bn_and_fc", "random_weights_bn_training_and_fc"])
def test_random_modes_start_without_pretrained_weights(mode, tmp_path):
    task = make_task(tmp_path, parse(MODES[mode][0]))
    task.build()
    source = torch.load(source_file(tmp_path), weights_only=True)
    state = task.network.state_dict()
    assert not torch.equal(state["conv1.weight"], source["conv1.weight"])
    # Frozen *initial* statistics: no normalisation ever, as in the paper's RND-FC-BN.
    assert torch.equal(state["layer1.0.bn1.running_mean"], torch.zeros(16))
    assert torch.equal(state["layer1.0.bn1.running_var"], torch.ones(16))
    assert not task.transferred.carried


def test_rates_and_momentum_reach_optimizer_and_layers(tmp_path):
    task = make_task(tmp_path, parse(MODES["fc_then_full_bnt"][0]))
    task.build()
    (head,) = task.configure_optimizers().param_groups
    assert (head["name"], head["lr"]) == ("head", 1e-3)
    task.start_phase(1)
    assert {g["name"]: g["lr"] for g in task.configure_optimizers().param_groups} == {
        "head": 1e-5,
        "scale_and_shift": 1e-5,
        "rest": 1e-5,
    }
    task = make_task(tmp_path, parse(MODES["fc_then_bn_bnt"][0]))
    task.build()
    assert task.network.bn1.momentum == 0.1
    task.start_phase(1)
    assert task.network.bn1.momentum == 0.01
