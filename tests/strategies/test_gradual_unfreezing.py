"""Stages join from the head downwards."""

import pytest
import torch
from support.runs import every_checkpoint, make_task, make_trainer, moved, snapshot
from support.segmentation import make_network, trained_file
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import GradualUnfreezing


def run(folder, transfer, epochs, ckpt_path=None, callbacks=(), **options):
    task = make_task(folder, transfer)
    trainer = make_trainer(folder, epochs, callbacks=list(callbacks), **options)
    trainer.fit(task, datamodule=TinyDataModule(train=16, other=8), ckpt_path=ckpt_path)
    return task


def stages_of(names):
    """The modules at the top that some tensors belong to."""
    return {name.split(".")[0] for name in names}


def test_what_trains_in_each_phase(tmp_path):
    task = make_task(tmp_path, GradualUnfreezing(step_epochs=2))
    task.build()
    assert [(p.name, p.epochs) for p in task.plan] == [
        ("head", 1),
        ("from_block3", 2),
        ("from_block2", 2),
        ("from_block1", 2),
        ("full", None),
    ]
    top = [stages_of(phase.trainable) for phase in task.plan]
    assert top[:3] == [{"fc"}, {"fc", "layer3"}, {"fc", "layer3", "layer2"}]
    assert set(task.plan[-1].trainable) == set(task.transferred.parts.names)


@pytest.mark.parametrize("statistics", ["update", "frozen"])
def test_stages_that_wait_stay_bit_identical(statistics, tmp_path):
    for phase, allowed in enumerate([{"fc"}, {"fc", "layer3"}, {"fc", "layer3", "layer2"}]):
        task = make_task(tmp_path, GradualUnfreezing(statistics=statistics))
        task.build()
        task.start_phase(phase)
        before = snapshot(task)
        training = stages_of(name for name, module in task.network.named_modules() if module.training)
        assert not training & {"bn1", "conv1", "layer1", "layer2", "layer3"} - allowed
        images = torch.randn(4, 3, 16, 16)
        optimizer = task.configure_optimizers()
        task(images).square().sum().backward()
        optimizer.step()
        changed = moved(before, snapshot(task))
        assert stages_of(changed) == allowed
        assert any("running_mean" in name for name in changed) == (statistics == "update" and phase > 0)


def test_several_stages_in_a_step_and_rates_that_fall(tmp_path):
    task = make_task(tmp_path, GradualUnfreezing(steps=2, decay=0.5, head_epochs=0))
    task.build()
    assert [phase.name for phase in task.plan] == ["from_block2", "full"]
    factors = task.plan[0].factors
    assert factors["layer3.0.conv1.weight"] == 0.5 and factors["conv1.weight"] == 0.0625 and "fc.weight" not in factors
    blocks = make_task(tmp_path, GradualUnfreezing(steps=3), backbone="test_vit", pretrained=False)
    blocks.build()
    assert len(blocks.plan) == 4


def test_a_decoder_waits_where_it_was_carried_over(tmp_path):
    fresh = make_network(tmp_path, GradualUnfreezing())
    assert [phase.name for phase in fresh.plan][:2] == ["head", "from_block3"]
    assert set(fresh.plan[1].trainable) > set(fresh.parts.decoder)
    own = make_network(tmp_path, GradualUnfreezing(), pretrained=trained_file(tmp_path))
    assert own.plan[1].name == f"from_decoder{len(own.network.decoder_names)}"


def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path):
    keep = every_checkpoint(tmp_path / "steps")
    expected = run(tmp_path, GradualUnfreezing(), 5, callbacks=keep, enable_checkpointing=True).state_dict()
    paths = sorted((tmp_path / "steps").iterdir())
    assert len(paths) == 10
    for path in paths[2:5]:  # within a step, at its end and in the next
        resumed = run(tmp_path, GradualUnfreezing(), 5, str(path)).state_dict()
        assert all(torch.equal(resumed[name], expected[name]) for name in expected), path.name


def test_too_short_a_run_is_told_how_long_it_must_be(tmp_path):
    with pytest.raises(UserError, match=r"--trainer\.max_epochs 9 or more"):
        run(tmp_path, GradualUnfreezing(step_epochs=2, head_epochs=2), 2)


@pytest.mark.parametrize("options", [{"step_epochs": 0}, {"steps": 0}, {"decay": 0.0}, {"decay": 2.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match=r"must be 1 or more|decay is a factor"):
        GradualUnfreezing(**options)


def test_epochs_are_counted_before_anything_trains(tmp_path):
    task = make_task(tmp_path, GradualUnfreezing(step_epochs=2, head_epochs=1))
    trainer = make_trainer(tmp_path, 4)
    with pytest.raises(UserError, match=r"may last until epoch 5.*\n.*\nGive --trainer.max_epochs 8 or more"):
        trainer.fit(task, datamodule=TinyDataModule())
    assert trainer.global_step == 0
