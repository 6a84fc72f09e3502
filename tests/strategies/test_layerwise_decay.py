"""Rates that fall from the head to the input."""

from functools import partial

import pytest
import torch
from support.runs import every_checkpoint, make_task, make_trainer
from support.segmentation import make_network, trained_file
from support.tiny import TinyDataModule
from timm.optim import param_groups_layer_decay

from transfusion_cli.errors import UserError
from transfusion_cli.models.stages import layers
from transfusion_cli.strategies import LayerwiseDecay
from transfusion_cli.tasks.schedules import WarmupCosine


def rates(task):
    """Parameter to its learning rate in the task's optimizer."""
    names = {id(parameter): name for name, parameter in task.network.named_parameters()}
    return {names[id(p)]: group["lr"] for group in task.configure_optimizers().param_groups for p in group["params"]}


@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet", "test_convnext", "cifar_resnet20", "cbr_tiny"])
@pytest.mark.parametrize("decay", [0.65, 0.75])
def test_factors_are_those_of_timm(backbone, decay, tmp_path):
    task = make_task(tmp_path, LayerwiseDecay(decay), backbone=backbone, pretrained=False)
    task.optimisation._optimizer = partial(torch.optim.AdamW, lr=1.0, weight_decay=0.1)
    task.build()
    names = {id(parameter): name for name, parameter in task.network.named_parameters()}
    groups = param_groups_layer_decay(task.network, layer_decay=decay)
    expected = {names[id(p)]: group["lr_scale"] for group in groups for p in group["params"]}
    found = rates(task)
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(set(found.values())) > 3 and {found[name] for name in task.transferred.parts.head} == {1.0}


def test_groups_have_names_that_tell_the_factor(tmp_path):
    task = make_task(tmp_path, LayerwiseDecay(0.5, lr={"rest": 0.01}))
    task.optimisation._optimizer = partial(torch.optim.AdamW, lr=0.1, weight_decay=0.1)
    task.build()
    groups = {group["name"]: group["lr"] for group in task.configure_optimizers().param_groups}
    assert groups["head"] == groups["head/no_decay"] == 0.1
    assert groups["rest/x0.5"] == 0.005 and groups["scale_and_shift/x0.25"] == 0.025
    assert len(groups) == 2 + 2 * 10  # a stem and nine blocks below the head


def test_the_audit_shows_the_range_of_rates(tmp_path):
    task = make_task(tmp_path, LayerwiseDecay(0.5, lr={"rest": 0.01}, head_epochs=1))
    task.build()
    head, main = task.audit().split("phase 2 layerwise")
    assert "lr" not in head
    lines = {line.split()[0]: line for line in main.splitlines()}
    assert "lr 9.77e-06 to 0.005" in lines["rest"]
    assert "lr x 0.000977 to 0.5" in lines["scale_and_shift"] and "lr" not in lines["head"]


def test_a_decoder_is_layers_where_it_was_carried_over(tmp_path):
    fresh = make_network(tmp_path, LayerwiseDecay(0.5))
    factors = fresh.plan[0].factors
    assert factors["encoder.layer3.2.conv2.weight"] == 0.5 and not any(n.startswith("decoder") for n in factors)
    own = make_network(tmp_path, LayerwiseDecay(0.5), pretrained=trained_file(tmp_path))
    factors, steps = own.plan[0].factors, own.network.decoder_names
    last = next(name for name in own.parts.decoder if name.startswith(steps[-1]))
    assert factors[last] == 0.5 and "head.weight" not in factors
    assert factors["encoder.layer3.2.conv2.weight"] == 0.5 ** (1 + len(steps))
    number = layers(own.network)
    assert sorted(number, key=number.__getitem__)[0] == "encoder.conv1.weight" and number["head.weight"] == max(
        number.values()
    )


def run(folder, ckpt_path=None, callbacks=(), **options):
    task = make_task(folder, LayerwiseDecay(0.7, head_epochs=1), lr_scheduler=partial(WarmupCosine, warmup=0.3))
    trainer = make_trainer(folder, 2, callbacks=list(callbacks), **options)
    trainer.fit(task, datamodule=TinyDataModule(train=16, other=8), ckpt_path=ckpt_path)
    return task


def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path):
    expected = run(tmp_path, callbacks=every_checkpoint(tmp_path / "steps"), enable_checkpointing=True).state_dict()
    for path in sorted((tmp_path / "steps").iterdir())[1:3]:
        resumed = run(tmp_path, str(path)).state_dict()
        assert all(torch.equal(resumed[name], expected[name]) for name in expected), path.name


@pytest.mark.parametrize("decay", [0.0, 1.5, float("nan")])
def test_impossible_factors_are_refused(decay):
    with pytest.raises(UserError, match="decay is a factor"):
        LayerwiseDecay(decay)


def test_networks_without_known_layers_are_refused():
    with pytest.raises(UserError, match=r"timm does not say.*\n.*FullFineTuning"):
        layers(torch.nn.Linear(2, 2))
