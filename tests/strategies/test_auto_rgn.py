"""Rates by relative gradient norms."""

from functools import partial

import pytest
import torch
from support.runs import every_checkpoint, make_task, make_trainer, snapshot
from support.tiny import TinyDataModule

from transfusion_cli.strategies import ACNorm, AutoRGN, FullFineTuning
from transfusion_cli.strategies.auto_rgn import relative_gradient_norms

OPTIMIZERS = {
    "sgd": partial(torch.optim.SGD, lr=0.002, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adamw": partial(torch.optim.AdamW, lr=0.003, weight_decay=0.1),
}


def run(folder, transfer, epochs=2, ckpt_path=None, callbacks=(), optimizer="adamw", **options):
    task = make_task(folder, transfer, optimizer=OPTIMIZERS[optimizer])
    trainer = make_trainer(folder, epochs, callbacks=list(callbacks), **options)
    trainer.fit(task, datamodule=TinyDataModule(train=24, other=8), ckpt_path=ckpt_path)
    return task


def test_factors_follow_the_definition():
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(scale * torch.randn(3, 4, dtype=torch.float64)) for scale in (0.1, 1.0, 10.0)]
    zero, idle = torch.nn.Parameter(torch.zeros(2).double()), torch.nn.Parameter(torch.ones(2).double())
    for weight in (*weights, zero):
        weight.grad = torch.randn_like(weight)
    idle.grad = torch.zeros(2).double()
    ratios = [sum(g**2 for g in w.grad.flatten()) ** 0.5 / sum(x**2 for x in w.flatten()) ** 0.5 for w in weights]
    expected = [float(ratio / max(ratios)) for ratio in ratios]
    assert relative_gradient_norms([*weights, zero, idle]).tolist() == pytest.approx([*expected, 1.0, 0.0], rel=1e-12)
    for weight in (*weights, zero):
        weight.grad = torch.zeros_like(weight)
    assert relative_gradient_norms(weights).tolist() == [0.0, 0.0, 0.0]


class Reference(torch.optim.Optimizer):
    """The wrapped optimizer with a group for each tensor, whose rate is set by the definition before it steps."""

    def __init__(self, kind, groups, exempt):
        self.inner = kind([{**g, "params": [p]} for g in groups for p in g["params"]])
        self.exempt = exempt

    def step(self):
        own = [group for group in self.inner.param_groups if group["params"][0] not in self.exempt]
        ratio = [float(g["params"][0].grad.norm() / g["params"][0].norm()) for g in own]
        rates = [group["lr"] for group in own]
        for group, rate, each in zip(own, rates, ratio, strict=True):
            group["lr"] = rate * each / max(ratio)
        self.inner.step()
        for group, rate in zip(own, rates, strict=True):
            group["lr"] = rate
        self.inner.zero_grad()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_equals_one_with_a_rate_for_each_tensor(optimizer, tmp_path):
    transfer = lambda: [FullFineTuning(statistics="frozen"), AutoRGN()]  # noqa: E731
    task = make_task(tmp_path, transfer(), optimizer=OPTIMIZERS[optimizer])
    task.double().build()
    task.network.double()
    task.train()
    groups = task.configure_optimizers().param_groups
    options = [{key: group[key] for key in ("params", "lr", "weight_decay")} for group in groups]
    reference = Reference(OPTIMIZERS[optimizer], options, set(task.network.fc.parameters()))
    batches = []
    data = TinyDataModule(train=24, other=8)

    class Keep(AutoRGN):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            batches.append(batch)

    trained = make_task(tmp_path, [FullFineTuning(statistics="frozen"), Keep()], optimizer=OPTIMIZERS[optimizer])
    make_trainer(tmp_path, 2, precision="64-true").fit(trained, datamodule=data)
    for batch in batches:
        total, weight = task.loss(task.network(batch["image"]), batch["target"])
        (total / weight).backward()
        reference.step()
    for name, tensor in snapshot(task).items():
        torch.testing.assert_close(trained.network.state_dict()[name], tensor, rtol=1e-9, atol=1e-11, msg=name)
    assert len(batches) == 6


def test_accumulated_batches_are_one_step(tmp_path):
    one = make_task(tmp_path, [FullFineTuning(statistics="frozen"), AutoRGN()], optimizer=OPTIMIZERS["sgd"])
    data = TinyDataModule(train=16, other=8, batch_size=16)
    make_trainer(tmp_path, 1, precision="64-true").fit(one, datamodule=data)
    two = make_task(tmp_path, [FullFineTuning(statistics="frozen"), AutoRGN()], optimizer=OPTIMIZERS["sgd"])
    data = TinyDataModule(train=16, other=8, batch_size=8)
    make_trainer(tmp_path, 1, precision="64-true", accumulate_grad_batches=2).fit(two, datamodule=data)
    for name, tensor in snapshot(one).items():
        torch.testing.assert_close(two.network.state_dict()[name], tensor, rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize(
    "make", [lambda: [FullFineTuning(head_epochs=1), AutoRGN()], lambda: [ACNorm(), AutoRGN()]], ids=["full", "acnorm"]
)
def test_a_resumed_run_equals_the_uninterrupted_one(make, tmp_path):
    keep = every_checkpoint(tmp_path / "steps")
    expected = run(tmp_path, make(), callbacks=keep, enable_checkpointing=True).state_dict()
    for path in sorted((tmp_path / "steps").iterdir())[1:5:3]:
        resumed = run(tmp_path, make(), ckpt_path=str(path)).state_dict()
        assert all(torch.equal(resumed[name], expected[name]) for name in expected), path.name


def test_the_head_and_the_tensor_of_the_largest_norm_train_at_the_full_rate(tmp_path):
    start = make_task(tmp_path)
    start.build()
    before, steps = snapshot(start), []
    for more in ([], [AutoRGN()]):
        one_step = {"optimizer": "sgd", "limit_train_batches": 1, "precision": "64-true"}
        after = snapshot(run(tmp_path, [FullFineTuning(statistics="frozen"), *more], 1, **one_step))
        steps.append({name: after[name] - before[name] for name, _ in start.network.named_parameters()})
    shares = {name: float(step.norm() / steps[0][name].norm()) for name, step in steps[1].items()}
    assert shares["fc.weight"] == shares["fc.bias"] == 1.0
    old = sorted(share for name, share in shares.items() if not name.startswith("fc."))
    assert old[-1] == pytest.approx(1.0) and 0 < old[0] < old[-2] < 0.999
