"""One part trains, all else stays."""

import pytest
import torch
from support.runs import every_checkpoint, make_task, make_trainer, moved, train
from support.segmentation import make_network, steps
from support.tiny import TinyDataModule

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import SurgicalFineTuning, WeightTransfusion
from transfusion_cli.tasks.delta import load_delta, save_delta


@pytest.mark.parametrize("statistics", ["update", "frozen"])
@pytest.mark.parametrize("stages", ["block2", ["conv1", "block1"]], ids=str)
def test_exactly_the_stages_and_the_head_move(stages, statistics, tmp_path):
    task, before, after = train(tmp_path, SurgicalFineTuning(stages, statistics=statistics))
    top = ("layer2.", "fc.") if stages == "block2" else ("conv1.", "bn1.", "layer1.", "fc.")
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    expected = {name for name in before if name.startswith(top)}
    if statistics == "frozen":
        expected = {name for name in expected if not name.endswith(buffers)}
    assert moved(before, after) == expected
    save_delta(task, tmp_path / "delta.safetensors")
    rebuilt = make_task(tmp_path, SurgicalFineTuning(stages, statistics=statistics), seed=7)
    load_delta(rebuilt, tmp_path / "delta.safetensors")
    assert all(torch.equal(tensor, after[name]) for name, tensor in rebuilt.network.state_dict().items())


def test_stages_that_stay_are_the_same_in_training_and_evaluation(tmp_path):
    options = {"backbone": "test_vit", "pretrained": False, "backbone_args": {"drop_path_rate": 0.5}}
    task = make_task(tmp_path, SurgicalFineTuning("block3"), **options)
    task.build()
    task.train()
    active = {n for n, m in task.network.named_modules() if type(m).__name__ == "DropPath" and m.training}
    assert active and all(name.startswith("blocks.2.") for name in active)


def test_the_decoder_of_an_encoder_trains(tmp_path):
    own = make_network(tmp_path, SurgicalFineTuning("block1"))
    before, after = steps(own)
    top = {".".join(name.split(".")[:2]) for name in moved(before, after) if name.startswith("encoder")}
    assert top == {"encoder.layer1"} and {n for n in before if n.startswith(("decoder", "head"))} <= moved(
        before, after
    )


def test_fresh_layers_elsewhere_move_their_statistics(tmp_path):
    _, before, after = train(tmp_path, [WeightTransfusion("block2"), SurgicalFineTuning("block1")])
    changed = {name.split(".")[0] for name in moved(before, after) if name.endswith("running_mean")}
    assert changed == {"layer1", "layer3"}


def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path):
    def run(path=None, **options):
        task = make_task(tmp_path, SurgicalFineTuning("block1", head_epochs=1))
        make_trainer(tmp_path, 2, **options).fit(task, datamodule=TinyDataModule(train=16, other=8), ckpt_path=path)
        return task.state_dict()

    expected = run(callbacks=every_checkpoint(tmp_path / "steps"), enable_checkpointing=True)
    for path in sorted((tmp_path / "steps").iterdir())[1:3]:
        resumed = run(str(path))
        assert all(torch.equal(resumed[name], expected[name]) for name in expected), path.name


def test_stages_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no stage 'block9'\n.*block"):
        make_task(tmp_path, SurgicalFineTuning(["block1", "block9"])).build()
