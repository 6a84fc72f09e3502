"""Stages that forget what they learned."""

import pytest
from support.subjects import CountingLoader, same, state, subject

from transfusion_cli.analysis.robustness import TRAINED, stage_robustness


def score(logits, targets):
    return {"loss": float((logits[:, :1] - targets).square().mean())}


def test_a_stage_replaced_by_itself_costs_nothing_and_by_another_something():
    trained, other = subject("a"), subject("b", 1)
    before = state(trained.network), state(other.network)
    loader = CountingLoader(2)
    rows = stage_robustness(trained, {"itself": subject("c").network, "other": other.network}, loader, score)
    assert loader.read == 2
    assert same(before[0], trained.network) and same(before[1], other.network)
    drops = {(row["stage"], row["replaced_by"]): row["drop"] for row in rows}
    stages = ["conv1", "block1", "block2", "block3", "head"]
    assert list(drops) == [(TRAINED, ""), *((s, d) for d in ("itself", "other") for s in stages)]
    assert all(drops[stage, "itself"] == 0 for stage in stages)
    assert all(drops[stage, "other"] != 0 for stage in stages)


def test_only_the_named_stage_is_replaced():
    trained, other = subject("a"), subject("b", 1)
    rows = stage_robustness(trained, {"other": other.network}, CountingLoader(1), score)
    trained.network.fc.load_state_dict(other.network.fc.state_dict())
    batch = CountingLoader(1).batches[0]
    expected = score(trained(batch["image"]), batch["target"])["loss"]
    (head,) = [row for row in rows if row["stage"] == "head"]
    assert head["value"] == pytest.approx(expected, rel=1e-5)
