"""What is frozen stays so, in training and in evaluation."""

import pytest
import torch
from support.runs import make_task, make_trainer, moved, snapshot, train
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import (
    ACNorm,
    BatchNormAffine,
    FullFineTuning,
    HeadOnly,
    SlimHybrid,
    WeightTransfusion,
)


@pytest.mark.parametrize(
    "transfer", [HeadOnly(), BatchNormAffine(), [ACNorm(), BatchNormAffine()]], ids=["head", "affine", "acnorm"]
)
def test_frozen_statistics_give_equal_outputs_in_training_and_evaluation(transfer, tmp_path):
    task = make_task(tmp_path, transfer)
    task.build()
    images = torch.randn(4, 3, 16, 16)
    task.train()
    assert task.network.training
    in_training = task(images)
    task.eval()
    torch.testing.assert_close(task(images), in_training, rtol=0, atol=0)


def test_updated_statistics_differ_between_training_and_evaluation(tmp_path):
    task = make_task(tmp_path, BatchNormAffine(statistics="update"))
    task.build()
    images = torch.randn(4, 3, 16, 16)
    assert not torch.allclose(task.train()(images), task.eval()(images))


def test_head_dropout_stays_active_over_frozen_features(tmp_path):
    task = make_task(tmp_path, HeadOnly(), dropout=0.5)
    task.build()
    task.train()
    images = torch.randn(4, 3, 16, 16)
    assert not torch.equal(task(images), task(images))
    assert not task.network.layer1.training


@pytest.mark.parametrize(
    ("backbone", "dropout_module"), [("vit_tiny_patch16_224", "head_drop"), ("convnext_atto", "head.drop")]
)
def test_dropout_inside_frozen_backbones_is_off_and_head_dropout_on(backbone, dropout_module, tmp_path):
    task = make_task(
        tmp_path, HeadOnly(), backbone=backbone, pretrained=False, dropout=0.5, backbone_args={"drop_path_rate": 0.5}
    )
    task.build()
    task.train()
    active = {name for name, m in task.network.named_modules() if "Drop" in type(m).__name__ and m.training}
    assert active == {dropout_module}


@pytest.mark.parametrize(("affine", "endings"), [("scale", (".weight",)), ("shift", (".bias",))])
def test_one_affine_parameter_trains_alone(affine, endings, tmp_path):
    _, before, after = train(tmp_path, BatchNormAffine(affine=affine))
    changed = moved(before, after) - {"fc.weight", "fc.bias"}
    assert len(changed) == 19 and all(name.endswith(endings) and "bn" in name for name in changed)


def test_the_optimizer_holds_exactly_the_plan(tmp_path):
    for transfer in (HeadOnly(), BatchNormAffine(), FullFineTuning()):
        task = make_task(tmp_path, transfer, optimizer=lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1))
        task.build()
        names = {id(p): n for n, p in task.network.named_parameters()}
        groups = task.configure_optimizers().param_groups
        held = [names[id(p)] for group in groups for p in group["params"]]
        assert sorted(held) == sorted(task.phase.trainable)
        assert {n for n, p in task.network.named_parameters() if p.requires_grad} == set(held)
        for group in groups:
            assert (group["weight_decay"] == 0) == all(p.ndim == 1 for p in group["params"])


FRESH = {
    "transfusion-affine": (lambda **o: [WeightTransfusion("block1"), BatchNormAffine(**o)], ("layer2", "layer3")),
    "slim-affine": (lambda **o: [SlimHybrid("block1"), BatchNormAffine(**o)], ("layer2", "layer3")),
    "slim-full": (
        lambda **o: [SlimHybrid("block1"), FullFineTuning(**{"statistics": "frozen", **o})],
        ("layer2", "layer3"),
    ),
    "transfusion-head": (lambda **o: [WeightTransfusion("block2"), HeadOnly(**o)], ("layer3",)),
    "transfusion-acnorm": (lambda **o: [WeightTransfusion("block2"), ACNorm(), BatchNormAffine(**o)], ("layer3",)),
}


@pytest.mark.parametrize("name", FRESH)
def test_layers_that_were_not_carried_over_learn_their_statistics(name, tmp_path):
    transfer, stages = FRESH[name]
    task, before, after = train(tmp_path, transfer(), epochs=2)
    statistics = {n for n in before if n.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    fresh = {n for n in statistics if n.startswith(stages)}
    assert fresh and statistics & moved(before, after) == fresh
    assert {f"{name}.running_mean" for name in task.transferred.parts.fresh} == {
        n for n in fresh if n.endswith("running_mean")
    }
    assert f"but update in {len(task.transferred.parts.fresh)} fresh layers" in task.audit()
    (tmp_path / "again").mkdir()
    _, before, after = train(tmp_path / "again", transfer(statistics="frozen_all"), epochs=1)
    assert not statistics & moved(before, after)


def test_a_resumed_run_knows_what_was_not_carried_over(tmp_path):
    transfer = lambda: [WeightTransfusion("block1"), BatchNormAffine(head_epochs=1)]  # noqa: E731
    task = make_task(tmp_path, transfer())
    trainer = make_trainer(tmp_path)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(task, datamodule=TinyDataModule(train=24, other=8))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    again = make_task(tmp_path, transfer())
    again.build(torch.load(tmp_path / "x.ckpt", weights_only=True)["transfusion"])
    assert again.transferred.parts.fresh == task.transferred.parts.fresh and len(task.transferred.parts.fresh) == 12


def test_modes_survive_validation_and_explicit_train_calls(tmp_path):
    task = make_task(tmp_path, BatchNormAffine())
    make_trainer(tmp_path, 2, val_check_interval=1).fit(task, datamodule=TinyDataModule(train=24, other=8))
    task.train()
    assert task.network.training and not any(m.training for n, m in task.network.named_modules() if "bn" in n)


def test_reestimated_statistics_are_those_of_the_training_set_and_then_frozen(tmp_path):
    data = TinyDataModule(train=24, other=8)
    task, before, after = train(tmp_path, HeadOnly(statistics="reestimate"), epochs=2, data=data)
    assert {n for n in moved(before, after) if not n.startswith("fc")} == {
        n for n in before if n.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }
    images = torch.cat([batch["image"] for batch in data.statistics_dataloader(5)])
    assert len(images) == 24
    first = task.network.conv1(task.normalise(images))
    torch.testing.assert_close(after["bn1.running_mean"], first.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transfer", [BatchNormAffine(), ACNorm()], ids=["affine", "acnorm"])
@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "convnext_atto"])
def test_networks_without_batch_norm_are_refused(transfer, backbone, tmp_path):
    task = make_task(tmp_path, transfer, backbone=backbone, pretrained=False)
    with pytest.raises(UserError, match=r"BatchNorm.*\n.*resnet50"):
        task.build()


def test_bf16_trains_and_keeps_statistics_finite(tmp_path):
    task = make_task(tmp_path, [ACNorm()])
    task.build()
    make_trainer(tmp_path, 1, precision="bf16-mixed").fit(task, datamodule=TinyDataModule(train=24, other=8))
    assert all(torch.isfinite(tensor).all() for tensor in snapshot(task).values())
    assert {p.dtype for p in task.network.parameters()} == {torch.float32}


def test_an_overflowing_batch_does_not_poison_statistics(tmp_path):
    from transfusion_cli.strategies.statistics_guard import StatisticsGuard

    task = make_task(tmp_path, FullFineTuning())
    task.build()
    task.train()
    guard = StatisticsGuard(task.network)
    task(torch.randn(4, 3, 16, 16))
    good = task.network.bn1.running_mean.clone()
    guard.remember()
    task(torch.full((4, 3, 16, 16), torch.inf))
    assert task.network.bn1.running_mean.isnan().any()
    guard.repair()
    assert torch.equal(task.network.bn1.running_mean, good)
