import torch
from support.runs import make_task, snapshot
from torch import nn

from transfusion_cli.models.adapter import Adapter
from transfusion_cli.strategies import SSF, ACNorm, BatchNormAffine, FullFineTuning
from transfusion_cli.training.sync_batch_norm import PhaseSyncBatchNorm


def test_layers_are_converted_and_put_back(tmp_path):
    task = make_task(tmp_path, [ACNorm(), FullFineTuning()])
    task.build()
    before, parameters = snapshot(task), dict(task.named_parameters())
    sync = PhaseSyncBatchNorm()
    sync.apply(task)
    converted = [m for m in task.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(converted) == 19
    assert all(parameters[name] is parameter for name, parameter in task.named_parameters())
    converted[0].running_mean.add_(1)
    sync.revert(task)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in task.modules())
    after = snapshot(task)
    torch.testing.assert_close(after["bn1.bn.running_mean"], before["bn1.bn.running_mean"] + 1)
    assert all(torch.equal(after[n], before[n]) for n in before if n != "bn1.bn.running_mean")


def test_adapters_of_layers_go_on(tmp_path):
    task = make_task(tmp_path, SSF(statistics="update"))
    task.build()
    adapters = {name: module for name, module in task.named_modules() if isinstance(module, Adapter)}
    x = torch.randn(4, 3, 32, 32)
    task.eval()
    before = task(x)
    sync = PhaseSyncBatchNorm()
    for change in (sync.apply, sync.revert):
        change(task)
        assert {name: task.get_submodule(name) for name in adapters} == adapters
        assert torch.equal(task.eval()(x), before)


def test_fused_layers_keep_their_activation(tmp_path):
    task = make_task(tmp_path, FullFineTuning(), backbone="mobilenetv3_small_050", pretrained=False)
    task.build()
    acts = [type(m.act) for m in task.modules() if hasattr(m, "drop") and isinstance(m, nn.BatchNorm2d)]
    PhaseSyncBatchNorm().apply(task)
    assert [type(m.act) for m in task.modules() if isinstance(m, nn.SyncBatchNorm)] == acts
    assert acts


def test_frozen_statistics_are_left_alone(tmp_path):
    task = make_task(tmp_path, BatchNormAffine())
    task.build()
    PhaseSyncBatchNorm().apply(task)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in task.modules())
