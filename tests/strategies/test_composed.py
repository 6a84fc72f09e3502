"""Lists of strategies."""

import pytest
import torch
from support.runs import make_task

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import (
    ACNorm,
    BatchNormAffine,
    FullFineTuning,
    HeadOnly,
    MeanVarInit,
    Phase,
    RandomInit,
    TransferStrategy,
)
from transfusion_cli.strategies.composed import as_strategy


class Penalty(TransferStrategy):
    """Adds a constant to the loss."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def regularize(self, network, batch, logits):
        return torch.tensor(self.value)


class FirstLayer(TransferStrategy):
    """Trains what does not exist, where asked to."""

    def __init__(self, names):
        super().__init__()
        self.names = names

    def select(self, parts):
        return [Phase("odd", self.names)]


def test_two_strategies_that_select_are_refused():
    with pytest.raises(UserError, match="HeadOnly and FullFineTuning both decide what trains"):
        as_strategy([HeadOnly(), MeanVarInit(), FullFineTuning()])
    with pytest.raises(UserError, match="empty list"):
        as_strategy([])


def test_initialisation_and_selection_come_from_different_members(tmp_path):
    task = make_task(tmp_path, [MeanVarInit(), BatchNormAffine(affine="shift")])
    task.build()
    assert task.plan[0].name == "scale_and_shift" and len(task.phase.trainable) == 19 + 2
    assert torch.equal(task.network.bn1.weight, torch.ones(16))  # reset by MeanVarInit


def test_without_an_initialiser_pretrained_weights_are_loaded(tmp_path):
    task = make_task(tmp_path, [ACNorm(), HeadOnly()])
    task.build()
    assert {"conv1.weight", "bn1.running_var"} <= task.transferred.carried
    assert not any(name.startswith("fc.") for name in task.transferred.carried)


def test_ac_norm_needs_pretrained_affines(tmp_path):
    task = make_task(tmp_path, [RandomInit(), ACNorm()])
    with pytest.raises(UserError, match="pretrained scale and shift"):
        task.build()
    task = make_task(tmp_path, [MeanVarInit(batch_norm="copy"), ACNorm()])
    task.build()
    assert sum(type(module).__name__ == "ACNorm" for module in task.network.modules()) == 19


def test_penalties_add_up():
    both = as_strategy([Penalty(1.0), HeadOnly(), Penalty(2.0)])
    assert both.regularize(torch.nn.Identity(), {}, torch.zeros(1)) == 3.0
    assert as_strategy(HeadOnly()).regularize(torch.nn.Identity(), {}, torch.zeros(1)) is None


@pytest.mark.parametrize(("names", "message"), [(("nothing.weight",), "network lacks"), ((), "trains no parameter")])
def test_plans_that_cannot_be_followed_are_refused(names, message, tmp_path):
    with pytest.raises(UserError, match=message):
        make_task(tmp_path, FirstLayer(names)).build()


def test_unknown_groups_are_refused():
    with pytest.raises(UserError, match="scale_and_shift"):
        FullFineTuning(lr={"heads": 1e-3})


def test_finalize_gives_an_ordinary_timm_network(tmp_path):
    task = make_task(tmp_path, [ACNorm(), HeadOnly()])
    task.build()
    task.eval()
    images = torch.randn(2, 3, 16, 16)
    expected = task(images)
    task.transfer.finalize(task.network)
    plain = make_task(tmp_path)
    plain.build()
    plain.network.load_state_dict(task.network.state_dict(), strict=True)
    torch.testing.assert_close(plain.eval()(images), expected, rtol=1e-4, atol=1e-5)


def test_the_audit_counts(tmp_path):
    task = make_task(tmp_path, BatchNormAffine(head_epochs=1, lr={"head": 1e-3}))
    task.build()
    text = task.audit()
    total = sum(p.numel() for p in task.network.parameters())
    assert f"{total:,} parameters, 19 BatchNorm layers" in text
    assert "phase 1 head (1 epoch): 65 train" in text
    assert f"phase 2 scale_and_shift (to the end): 1,441 train ({1441 / total:.2%})" in text
    assert "lr 0.001" in text and "BatchNorm statistics: frozen" in text
