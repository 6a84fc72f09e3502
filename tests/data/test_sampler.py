import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.data.sampler import EvaluationSampler, TrainingSampler, equal_batches
from transfusion_cli.errors import UserError


def batches(sampler):
    positions, size = [position for position, _ in sampler], sampler.batch_size // sampler.world_size
    return [positions[i : i + size] for i in range(0, len(positions), size)]


@given(st.integers(1, 200), st.integers(1, 8), st.sampled_from([2, 3, 4]), st.integers(0, 3))
def test_processes_together_see_the_batches_of_one(size, per_process, world, epoch):
    size += world
    ranks = [TrainingSampler(size, per_process * world, 7, rank=rank, world_size=world) for rank in range(world)]
    one = TrainingSampler(size, ranks[0].batch_size, 7)
    for sampler in (one, *ranks):
        sampler.set_epoch(epoch)
    shares = [batches(sampler) for sampler in ranks]
    assert all(len(sampler) == len(list(sampler)) for sampler in (one, *ranks))
    assert len(batches(one)) == len(shares[0]) == size // ranks[0].batch_size
    for whole, *parts in zip(batches(one), *shares, strict=True):
        assert sorted(whole) == sorted(position for part in parts for position in part)
        assert len({len(part) for part in parts}) == 1


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 2**32), st.integers(0, 50))
def test_each_sample_at_most_once_and_only_the_ragged_batch_is_dropped(size, batch_size, seed, epoch):
    sampler = TrainingSampler(size, batch_size, seed)
    sampler.set_epoch(epoch)
    positions = [position for position, _ in sampler]
    assert len(set(positions)) == len(positions) == len(sampler)
    assert size - len(positions) < min(batch_size, size)
    assert {e for _, e in sampler} == {epoch}
    assert positions == [position for position, _ in sampler]


def test_order_changes_with_epoch_and_seed():
    orders = set()
    for seed in (0, 1):
        for epoch in (0, 1):
            sampler = TrainingSampler(50, 5, seed)
            sampler.set_epoch(epoch)
            orders.add(tuple(sampler.global_order()))
    assert len(orders) == 4


@pytest.mark.parametrize("world", [1, 2])
def test_skip_leaves_out_the_first_batches_and_keeps_the_length(world):
    for rank in range(world):
        sampler = TrainingSampler(41, 4, 0, rank=rank, world_size=world)
        whole = batches(sampler)
        sampler.skip = 3
        assert batches(sampler) == whole[3:]
        assert len(sampler) == 40 // world


def test_balanced_order_follows_the_weights():
    weights = np.repeat([1 / 90, 1 / 10], [90, 10])
    drawn = np.concatenate([TrainingSampler(100, 10, seed, weights).global_order() for seed in range(40)])
    assert 0.45 < (drawn >= 90).mean() < 0.55


@given(st.integers(1, 300), st.integers(1, 5), st.integers(1, 40))
def test_evaluation_sees_each_sample_once_in_equally_many_batches(size, world, per_process):
    size += world
    samplers = [EvaluationSampler(size, rank, world) for rank in range(world)]
    assert sorted(position for sampler in samplers for position, _ in sampler) == list(range(size))
    batch = equal_batches(size, per_process * world, world)
    assert batch >= per_process
    assert len({-(-len(sampler) // batch) for sampler in samplers}) == 1
    if world == 1:
        assert batch == per_process


def test_batch_must_divide_among_processes():
    with pytest.raises(UserError, match=r"multiple of the number of processes, 3\nTry --data.batch_size 33"):
        TrainingSampler(100, 32, 0, world_size=3)
    with pytest.raises(UserError, match="2 samples cannot be shared among 4 processes"):
        TrainingSampler(2, 32, 0, world_size=4)
