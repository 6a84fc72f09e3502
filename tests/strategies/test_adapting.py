"""What holds for every strategy that trains little beside weights that stay: on ViTs, and on CNNs where it can."""

import copy

import pytest
import timm
import torch
from safetensors import safe_open
from support.adapted import ARGS, adapted_task, fit, images
from support.runs import every_checkpoint, moved, snapshot

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import (
    SSF,
    ACNorm,
    AdaptFormer,
    BiasOnly,
    LayerScaleOnly,
    LoRA,
    VisualPromptTuning,
)
from transfusion_cli.strategies.plan import parameter_groups
from transfusion_cli.tasks.delta import load_delta, save_delta

CASES = {
    "lora-vit": (lambda **o: LoRA(rank=2, targets=["attention", "mlp"], **o), "test_vit"),
    "lora-cnn": (lambda **o: LoRA(rank=2, targets=["convolution"], **o), "cifar_resnet20"),
    "biases-vit": (lambda **o: BiasOnly(**o), "test_vit"),
    "biases-cnn": (lambda **o: BiasOnly(**o), "cifar_resnet20"),
    "ssf-vit": (lambda **o: SSF(**o), "test_vit"),
    "ssf-cnn": (lambda **o: SSF(**o), "test_efficientnet"),
    "adapt-former-vit": (lambda **o: AdaptFormer(width=4, **o), "test_vit"),
    "adapt-former-cnn": (lambda **o: AdaptFormer(width=4, **o), "test_convnext"),
    "prompts-deep-vit": (lambda **o: VisualPromptTuning(3, **o), "test_vit"),
    "prompts-shallow-vit": (lambda **o: VisualPromptTuning(3, deep=False, **o), "test_vit"),
    "layer-scale-vit": (lambda **o: LayerScaleOnly(**o), "test_vit2"),
    "layer-scale-cnn": (lambda **o: LayerScaleOnly(**o), "test_convnext"),
}
MERGED = [name for name in CASES if not name.startswith(("prompts", "adapt-former"))]


@pytest.mark.parametrize("name", CASES)
def test_what_trains_moves_and_comes_back_from_delta_and_checkpoint(name, tmp_path):
    make, backbone = CASES[name]
    task = adapted_task(tmp_path, make(lr={"adapter": 0.02, "rest": 0.02}), backbone)
    task.build()
    chosen, before = set(task.phase.trainable), snapshot(task)
    trainer = fit(tmp_path, task)
    after = snapshot(task)
    assert moved(before, after) == chosen and set(task.transferred.parts.head) < chosen
    save_delta(task, tmp_path / "delta.safetensors")
    with safe_open(tmp_path / "delta.safetensors", framework="pt") as file:
        assert set(file.keys()) == {f"network.{name}" for name in chosen} | {"mean", "std"}
    again = adapted_task(tmp_path, make(), backbone, seed=7)
    load_delta(again, tmp_path / "delta.safetensors")
    assert not moved(after, snapshot(again))
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    restored = type(task).load_from_checkpoint(tmp_path / "one.ckpt", transfer=make())
    assert not moved(after, snapshot(restored))
    task.eval()
    with torch.no_grad():
        assert torch.equal(restored(images()), task(images()))
        assert torch.equal(copy.deepcopy(task.network)(task.normalise(images())), task(task.normalise(images())))


@pytest.mark.parametrize("name", MERGED)
def test_finalize_gives_the_plain_network_with_the_same_outputs(name, tmp_path):
    make, backbone = CASES[name]
    task = adapted_task(tmp_path, make(), backbone)
    task.build()
    with torch.no_grad():
        for parameter_name, parameter in task.network.named_parameters():
            if parameter_name in task.phase.trainable:
                parameter.add_(0.1 * torch.randn_like(parameter))
        outputs = task.eval()(images())
        task.transfer.finalize(task.network)
        plain = timm.create_model(backbone, num_classes=1, **ARGS.get(backbone, {})).eval()
        plain.load_state_dict(task.network.state_dict())
        torch.testing.assert_close(plain(images()), outputs, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(task.network(images()), outputs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["lora-vit", "ssf-cnn", "adapt-former-vit", "prompts-deep-vit", "layer-scale-vit"])
def test_a_resumed_run_equals_the_undisturbed_one(name, tmp_path):
    make, backbone = CASES[name]
    options = {"dropout": 0.2, "backbone_args": {**ARGS.get(backbone, {}), "drop_path_rate": 0.3}}
    whole = adapted_task(tmp_path, make(head_epochs=1), backbone, **options)
    fit(tmp_path, whole, 2, callbacks=every_checkpoint(tmp_path / "steps"), enable_checkpointing=True)
    paths = sorted((tmp_path / "steps").iterdir())
    for path in (paths[1], paths[4]):
        again = adapted_task(tmp_path, make(head_epochs=1), backbone, **options)
        fit(tmp_path, again, 2, ckpt_path=str(path))
        assert not moved(snapshot(whole), snapshot(again)), path.name


@pytest.mark.parametrize("name", [name for name in CASES if name not in MERGED])
def test_what_cannot_be_merged_says_so_in_two_lines(name, tmp_path):
    make, backbone = CASES[name]
    task = adapted_task(tmp_path, make(), backbone)
    task.build()
    with pytest.raises(UserError, match="cannot be merged") as caught:
        task.transfer.finalize(task.network)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("transfer", "backbone", "message"),
    [
        (LayerScaleOnly, "test_vit", "needs a network with LayerScale"),
        (AdaptFormer, "cifar_resnet20", "needs a backbone with MLPs"),
        (lambda: AdaptFormer(width=0), "test_vit", "width of AdaptFormer must be 1 or more"),
        (VisualPromptTuning, "cifar_resnet20", "is for the ViTs of timm"),
        (lambda: VisualPromptTuning(tokens=0), "test_vit", "tokens of VisualPromptTuning must be 1 or more"),
        (lambda: [ACNorm(), SSF()], "cifar_resnet20", "SSF after ACNorm could not be merged"),
        (lambda: SSF(std=-1.0), "cifar_resnet20", "std of SSF must be 0 or more"),
    ],
)
def test_refusals(transfer, backbone, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        adapted_task(tmp_path, transfer(), backbone).build()
    assert len(str(caught.value).splitlines()) == 2


def test_adapters_have_a_rate_of_their_own_and_dropout_beside_them(tmp_path):
    task = adapted_task(tmp_path, LoRA(rank=2, lr={"adapter": 0.5, "head": 0.1}), backbone_args={"img_size": 32})
    task.build()
    groups = parameter_groups(task.network, task.phase, task.transferred.parts, lr=1.0, weight_decay=0.1)
    assert {group["name"]: group["lr"] for group in groups} == {"head": 0.1, "head/no_decay": 0.1, "adapter": 0.5}
    assert "  adapter " in task.audit() and "lr 0.5" in task.audit()
    task.train()
    assert task.network.blocks[0].drop_path1.training
    task.start_phase(0)
    assert not any(parameter.requires_grad for name, parameter in task.network.named_parameters() if "norm" in name)


@pytest.mark.parametrize("make", [LoRA, SSF, AdaptFormer, VisualPromptTuning])
def test_the_start_is_drawn_from_the_seed(make, tmp_path):
    states = []
    for seed in (3, 3, 4):
        task = adapted_task(tmp_path, make(), seed=seed)
        torch.manual_seed(len(states))
        task.build()
        states.append(torch.cat([p.flatten() for n, p in task.network.named_parameters() if "adapter" in n]))
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
