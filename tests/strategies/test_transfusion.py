"""Which weights the strategies of Raghu et al. 2019 start from, and in which architecture."""

import math

import pytest
import timm
import torch
from support.networks import source_file
from support.runs import make_task, make_trainer, moved, snapshot, train
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.models.gabor import gabor_bank
from transfusion_cli.models.stages import stages
from transfusion_cli.strategies import (
    BatchNormAffine,
    GaborInit,
    Reinitialise,
    SlimHybrid,
    Truncate,
    WeightTransfusion,
)
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.delta import load_delta, save_delta

STAGES = ["conv1", "block1", "block2", "block3"]


def start(tmp_path, transfer, **kwargs):
    task = make_task(tmp_path, transfer, **kwargs)
    task.build()
    return task


def pretrained_stages(tmp_path, task):
    """Stages all of whose tensors are the pretrained ones, bit for bit."""
    source = torch.load(source_file(tmp_path), weights_only=True)
    state = task.network.state_dict()
    return [
        stage
        for stage, names in stages(task.network).items()
        if all(name in source and torch.equal(state[name], source[name]) for name in names)
    ]


@pytest.mark.parametrize("up_to", [None, *STAGES])
def test_a_prefix_is_pretrained_and_the_rest_is_random(tmp_path, up_to):
    task = start(tmp_path, WeightTransfusion(up_to=up_to))
    kept = STAGES[: STAGES.index(up_to) + 1] if up_to else []
    assert pretrained_stages(tmp_path, task) == kept
    assert task.plan[0].trainable == task.transferred.parts.names
    plain = timm.create_model("cifar_resnet20").state_dict()
    if up_to != "block3":
        bound = 5 / math.sqrt(2 * plain["layer3.2.conv2.weight"].numel())
        fresh = task.network.layer3[2].conv2.weight
        assert abs(fresh.std() / plain["layer3.2.conv2.weight"].std() - 1) < 2 * bound
        assert torch.equal(task.network.layer3[2].bn2.running_mean, torch.zeros(64))


def test_the_rest_may_keep_the_pretrained_moments(tmp_path):
    source = torch.load(source_file(tmp_path), weights_only=True)
    source["layer3.2.conv2.weight"] += 5
    torch.save(source, tmp_path / "shifted.pth")
    transfer = WeightTransfusion(up_to="block1", rest="mean_var")
    task = start(tmp_path, transfer, pretrained=str(tmp_path / "shifted.pth"))
    assert pretrained_stages(tmp_path, task) == ["conv1", "block1"]
    assert abs(task.network.layer3[2].conv2.weight.mean() - 5) < 0.01


def test_it_combines_with_what_trains(tmp_path):
    task = start(tmp_path, [WeightTransfusion("block2"), BatchNormAffine()])
    assert pretrained_stages(tmp_path, task) == ["conv1", "block1", "block2"]
    assert len(task.phase.trainable) == 2 * 19 + 2


def test_a_wrong_stage_is_named(tmp_path):
    for transfer in (
        WeightTransfusion("block4"),
        Reinitialise(["conv1", "block4"]),
        Truncate("blok3"),
        SlimHybrid("x"),
    ):
        with pytest.raises(UserError, match="no stage"):
            start(tmp_path, transfer)


def test_named_stages_start_afresh(tmp_path):
    task = start(tmp_path, Reinitialise(["block1", "block3"]))
    assert pretrained_stages(tmp_path, task) == ["conv1", "block2"]


def test_gabor_filters():
    bank = gabor_bank(64, (7, 7))
    assert bank.shape == (64, 7, 7)
    torch.testing.assert_close(bank.mean(dim=(1, 2)), torch.zeros(64, dtype=torch.float64))
    torch.testing.assert_close(bank.norm(dim=(1, 2)), torch.ones(64, dtype=torch.float64))
    similarity = bank.flatten(1) @ bank.flatten(1).T
    assert (similarity - torch.eye(64)).max() < 1 - 1e-4  # no two are the same
    # Orientation 0 varies along x, orientation 8 of 16 along y; the higher the frequency, the finer the wave.
    torch.testing.assert_close(bank[16], bank[24].T)
    spectra = torch.stack([torch.fft.rfft(bank[16 * i].sum(dim=0), n=200).abs() for i in range(4)])
    centres = (spectra @ torch.arange(101, dtype=torch.float64)) / spectra.sum(dim=1) / 200
    assert (centres.diff() > 0.02).all() and abs(centres[1] - 0.2) < 0.03 and abs(centres[2] - 0.3) < 0.03


@pytest.mark.parametrize("scale", ["default", "pretrained"])
def test_gabor_replaces_the_first_layer_alone(tmp_path, scale):
    task = start(tmp_path, GaborInit(scale))
    plain = start(tmp_path, WeightTransfusion(up_to=None))
    one, other = task.network.state_dict(), plain.network.state_dict()
    assert moved(one, other) == {"conv1.weight"}
    weight = one["conv1.weight"]
    assert torch.equal(weight[:, 0], weight[:, 1]) and torch.equal(weight[:, 0], weight[:, 2])
    model = other if scale == "default" else torch.load(source_file(tmp_path), weights_only=True)
    torch.testing.assert_close(weight.std(correction=0), model["conv1.weight"].std(correction=0))
    with pytest.raises(UserError, match="no pretrained conv1"):
        start(tmp_path, GaborInit("pretrained"), pretrained=False)


def test_the_papers_hybrid_has_the_papers_size():
    task = ClassificationTask(
        target="ordinal", class_names=list("abcdef"), backbone="resnet50", pretrained=False, transfer=SlimHybrid()
    )
    task.build()
    assert sum(p.numel() for p in task.network.parameters()) == 7_140_421
    widths = [getattr(task.network, f"layer{i}")[0].conv1.out_channels for i in (1, 2, 3, 4)]
    assert widths == [64, 128, 128, 256]
    assert task.network(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_slim_keeps_the_bottom(tmp_path):
    task = start(tmp_path, SlimHybrid("block2", width=0.25))
    assert pretrained_stages(tmp_path, task) == ["conv1", "block1", "block2"]
    assert task.network.layer3[0].conv1.out_channels == task.network.fc.in_features == 16
    again = start(tmp_path, SlimHybrid("block2", width=0.25))
    assert not moved(snapshot(task), snapshot(again))
    with pytest.raises(UserError, match="nothing to slim after block3"):
        start(tmp_path, SlimHybrid("block3"))
    with pytest.raises(UserError, match="SlimHybrid is for ResNets, not CBRNet"):
        start(tmp_path, SlimHybrid("block2"), backbone="cbr_tiny", pretrained=False)


@pytest.mark.parametrize("name", ["cifar_resnet20", "resnet18", "densenet121", "efficientnet_b0", "cbr_tiny"])
def test_truncation(tmp_path, name):
    task = start(tmp_path, Truncate("block2"), backbone=name, pretrained=False)
    last = list(stages(task.network))[-1]
    assert last == "block2"
    logits = task.network(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 1)
    logits.sum().backward()
    assert all(p.grad is not None for p in task.network.parameters())


@pytest.mark.parametrize("transfer", [lambda: SlimHybrid("block1", 0.5), lambda: Truncate("block1")])
def test_changed_architectures_come_back_from_checkpoints(tmp_path, transfer):
    task, before, after = train(tmp_path, transfer())
    assert moved(before, after)
    trainer = make_trainer(tmp_path, 1)
    trainer.fit(task := make_task(tmp_path, transfer()), datamodule=TinyDataModule("binary", train=24, other=8))
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    loaded = ClassificationTask.load_from_checkpoint(
        tmp_path / "one.ckpt", map_location="cpu", weights_only=True, transfer=transfer()
    )
    assert not moved(snapshot(task), snapshot(loaded))
    save_delta(task, tmp_path / "delta.safetensors")
    rebuilt = make_task(tmp_path, transfer(), seed=7)
    load_delta(rebuilt, tmp_path / "delta.safetensors")
    assert not moved(snapshot(task), snapshot(rebuilt))
