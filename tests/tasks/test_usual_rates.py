"""When ``check`` says that a whole network would train far too fast."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.runs import make_task

from transfusion_cli.strategies.full_fine_tuning import FullFineTuning
from transfusion_cli.strategies.layerwise_decay import LayerwiseDecay
from transfusion_cli.strategies.lora import LoRA
from transfusion_cli.strategies.random_init import RandomInit
from transfusion_cli.tasks.schedules import WarmupCosine
from transfusion_cli.tasks.usual_rates import rate_remark

VIT: dict[str, Any] = {"backbone": "cifar_vit6.textures", "pretrained": True, "image_size": 32}
ADAM, ADAMW, SGD = torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD


def remarks(folder: Any, transfer: Any, kind: Any, lr: float, **kwargs: Any) -> list[str | None]:
    """What is said of each phase."""
    task = make_task(folder, transfer, optimizer=lambda parameters: kind(parameters, lr=lr), **kwargs)
    task.build()
    own = task.transferred
    return [rate_remark(own, phase, task.optimisation.optimizer(own, phase)) for phase in task.plan]


@pytest.mark.parametrize(
    ("kind", "lr", "network", "advice"),
    [
        (ADAMW, 5e-4, VIT, "--model.optimizer.lr 5e-05"),
        (ADAM, 1e-3, VIT, "--model.optimizer.lr 5e-05"),
        (ADAMW, 4.9e-4, VIT, None),
        (SGD, 0.1, VIT, "--model.optimizer.lr 1e-02"),
        (SGD, 0.09, VIT, None),
        (ADAM, 3e-3, {}, "--model.optimizer.lr 3e-04"),
        (ADAM, 1e-3, {}, None),  # as the shipped configs have it
        (SGD, 0.1, {}, "--model.optimizer.lr 1e-02"),
        (SGD, 0.05, {}, None),
        (torch.optim.RMSprop, 1.0, {}, None),  # nothing is known
    ],
)
def test_ten_times_the_usual_rate(tmp_path, kind: Any, lr: float, network: dict[str, Any], advice: str | None) -> None:
    (found,) = remarks(tmp_path, FullFineTuning(), kind, lr, **network)
    if advice is None:
        assert found is None
        return
    what, then = found.splitlines()
    family = "transformers and ConvNeXts" if network else "convolutional networks"
    assert f"is usual for {family} with {kind.__name__}" in what and what.startswith(
        f"The whole network trains at {lr:g};"
    )
    assert then.endswith(f"try {advice}")


@pytest.mark.parametrize("transfer", [LoRA(), [RandomInit()]], ids=["LoRA", "random weights"])
def test_only_pretrained_weights_that_train_count(tmp_path, transfer: Any) -> None:
    assert remarks(tmp_path, transfer, ADAMW, 0.1, **VIT) == [None]


def test_the_head_may_learn_faster(tmp_path) -> None:
    assert remarks(tmp_path, FullFineTuning(head_epochs=1, head_lr=0.1, lr=1e-5), ADAMW, 0.1, **VIT) == [None, None]
    head, full = remarks(tmp_path, FullFineTuning(head_epochs=1, lr={"head": 1.0, "rest": 1e-3}), ADAMW, 0.1, **VIT)
    assert head is None and full.endswith("try --model.transfer.lr 5e-05")


def test_a_decay_by_layers_counts_by_its_middle(tmp_path) -> None:
    """Six blocks: stem and lower three have a little more than half of the weights, the third of these 0.5 ** 4."""
    assert remarks(tmp_path, LayerwiseDecay(decay=0.5), ADAMW, 7.9e-3, **VIT) == [None]
    (found,) = remarks(tmp_path, LayerwiseDecay(decay=0.5), ADAMW, 8e-3, **VIT)
    assert "trains at 0.0005;" in found and found.endswith("try --model.optimizer.lr 8e-04")


def test_the_first_steps_of_a_warm_up_are_no_excuse(tmp_path) -> None:
    task = make_task(tmp_path, optimizer=lambda p: ADAMW(p, lr=1e-3), lr_scheduler=WarmupCosine, **VIT)
    task.build()
    made = task.optimisation.configure(task.transferred, task.phase, steps=lambda: 1000)
    assert made["optimizer"].param_groups[0]["lr"] < 1e-4
    assert "trains at 0.001;" in rate_remark(task.transferred, task.phase, made["optimizer"])
