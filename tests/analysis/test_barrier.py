"""The line between two networks."""

import copy

import pytest
import torch
from support.subjects import CountingLoader, same, state, subject

from transfusion_cli.analysis.barrier import barrier_height, interpolate, same_statistics
from transfusion_cli.analysis.subject import Subject
from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import ac_norm_layers, convert_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers

STATISTICS = [batch["image"] for batch in CountingLoader(2).batches]


def score(logits, targets):
    return {"loss": float((logits[:, :1] - targets).square().mean())}


def line(a, b, loader=None, **kwargs):
    return interpolate(a, b, loader or CountingLoader(2), score, points=5, **kwargs)


@pytest.mark.parametrize("statistics", [(), STATISTICS])
def test_from_a_network_to_itself_there_is_no_barrier(statistics):
    rows = line(subject("a"), subject("b"), statistics=statistics)
    losses = [row["value"] for row in rows]
    assert [row["alpha"] for row in rows] == [0, 0.25, 0.5, 0.75, 1]
    assert losses == pytest.approx([losses[0]] * 5, rel=1e-5)
    assert barrier_height([row["alpha"] for row in rows], losses) == pytest.approx(0, abs=1e-6)


def test_the_ends_are_the_networks_themselves_and_stay_so():
    a, b = subject("a", 0), subject("b", 1)
    b = Subject("b", b.network, lambda images: images * 2)  # another normalisation at the other end
    before = state(a.network), state(b.network)
    loader = CountingLoader(2)
    rows = line(a, b, loader)
    assert loader.read == 2
    assert same(before[0], a.network) and same(before[1], b.network)
    for end, network in ((rows[0], a), (rows[-1], b)):
        with torch.no_grad():
            logits = torch.cat([network(batch["image"]) for batch in loader.batches])
        targets = torch.cat([batch["target"] for batch in loader.batches])
        assert end["value"] == pytest.approx(score(logits, targets)["loss"], rel=1e-4)


def test_statistics_are_estimated_anew_at_every_point():
    a, b = subject("a", 0), subject("b", 1)
    before = state(a.network), state(b.network)
    stored, fresh = line(a, b), line(a, b, statistics=STATISTICS)
    assert same(before[0], a.network) and same(before[1], b.network)
    assert not a.network.training
    assert all(abs(x["value"] - y["value"]) > 1e-4 for x, y in zip(stored, fresh, strict=True))


def test_shared_statistics_stay():
    a, b = subject("a"), subject("b")
    b.network.conv1.weight.data.mul_(1.3)
    assert same_statistics(a, b) and not same_statistics(a, subject("c", 1))
    assert line(a, b) == line(a, b, statistics=STATISTICS)


@pytest.mark.parametrize("statistics", [(), STATISTICS])
def test_every_point_between_recalibrated_networks_is_that_network(statistics):
    """The interpolated weights are temporary tensors, which must not be taken for each other by their addresses."""
    a, b = subject("a", backbone="resnet18"), subject("b", backbone="resnet18")
    for end in (a, b):
        convert_ac_norm(end.network, batch_norm_layers(end.network)).eval()
    draws = torch.Generator().manual_seed(1)
    for layer in ac_norm_layers(b.network).values():
        layer.bn.weight.data += 0.2 * torch.randn(layer.bn.weight.shape, generator=draws)
        layer.bn.bias.data += 0.5 * torch.randn(layer.bn.bias.shape, generator=draws)
    assert same_statistics(a, b)  # so they stay: nothing is estimated anew
    ends, loader = (a.network.state_dict(), b.network.state_dict()), CountingLoader(2)
    between = copy.deepcopy(a.network)
    for row in line(a, b, loader, statistics=statistics):
        alpha = row["alpha"]
        between.load_state_dict({n: x if "num" in n else torch.lerp(x, ends[1][n], alpha) for n, x in ends[0].items()})
        with torch.no_grad():
            logits = torch.cat([between(a.normalise(batch["image"])) for batch in loader.batches])
        expected = score(logits, torch.cat([batch["target"] for batch in loader.batches]))["loss"]
        assert row["value"] == pytest.approx(expected, rel=1e-4)


def test_no_line_between_architectures():
    with pytest.raises(UserError, match="no line between a and b"):
        line(subject("a"), subject("b", backbone="cifar_resnet56"))


def test_barrier_height():
    assert barrier_height([0, 0.5, 1], [1, 3, 2]) == pytest.approx(1.5)
    assert barrier_height([0, 0.25, 1], [4, 3.5, 0]) == pytest.approx(0.5)
    assert barrier_height([0, 0.5, 1], [1, 0, 1]) == 0
