from __future__ import annotations

from datetime import timedelta

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from transfusion_cli.metrics.records import Records

NAN = float("nan")


def labels(width):
    """Records of logits and labels."""
    return Records(logits=torch.empty(0, width), targets=torch.empty(0, width))


def classes(width):
    """Records of logits and classes."""
    return Records(logits=torch.empty(0, width), targets=torch.empty(0, dtype=torch.int64))


def test_table_is_sorted_and_keeps_the_first_of_duplicates() -> None:
    records = classes(3)
    records.update(torch.tensor([5, 2]), logits=torch.full((2, 3), 1.0), targets=torch.tensor([1, -1]))
    records.update(torch.tensor([2, 0]), logits=torch.full((2, 3), 2.0), targets=torch.tensor([0, 2]))
    table = records.compute()
    assert table.index.tolist() == [0, 2, 5]
    assert table["logits"][:, 0].tolist() == [2, 1, 1]
    assert table["targets"].tolist() == [2, -1, 1]
    assert len(table) == 3


def test_one_sample_keeps_its_dimensions() -> None:
    records = labels(1)
    records.update(torch.tensor([7]), logits=torch.tensor([[0.5]]), targets=torch.tensor([[1.0]]))
    table = records.compute()
    assert (table.index.shape, table["logits"].shape, table["targets"].shape) == ((1,), (1, 1), (1, 1))


def test_low_precision_logits_are_stored_as_float32_and_detached() -> None:
    records = labels(2)
    logits = torch.randn(4, 2, dtype=torch.bfloat16, requires_grad=True)
    records.update(torch.arange(4), logits=logits, targets=torch.tensor([[0, 1], [NAN, 1], [0, 0], [1, 1.0]]))
    table = records.compute()
    assert table["logits"].dtype == table["targets"].dtype == torch.float32
    assert torch.equal(table["logits"], logits.float()) and not table["logits"].requires_grad


def test_reset_and_empty() -> None:
    records = classes(3)
    records.update(torch.arange(2), logits=torch.zeros(2, 3), targets=torch.tensor([0, 3]))
    records.compute()
    records.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):
        table = records.compute()
    assert (table.index.shape, table["logits"].shape, table["targets"].shape) == ((0,), (0, 3), (0,))
    assert (table.index.dtype, table["targets"].dtype) == (torch.int64, torch.int64)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 indices and 3 logits"):
        labels(1).update(torch.arange(2), logits=torch.zeros(3, 1), targets=torch.zeros(2, 1))


SHARDS = [[[4, 0, 2, 6, 4], [1, 3, 0]], [[3, 1, 2], []], [[], [3, 1, 2]], [[], []]]
KINDS = {"multilabel": torch.arange(20.0).view(10, 2), "ordinal": torch.arange(10)}


def _worker(rank: int, folder: str) -> None:
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    tables = {}
    for target, targets in KINDS.items():
        for case, shards in enumerate(SHARDS):
            records = labels(2) if target == "multilabel" else classes(2)
            for row in shards[rank]:
                records.update(torch.tensor([row]), logits=torch.full((1, 2), float(row)), targets=targets[[row]])
            table = records.compute()
            # A second round, as in the next epoch: what was gathered must not have stayed.
            records.reset()
            records.update(torch.tensor([rank]), logits=torch.zeros(1, 2), targets=targets[[rank]])
            tables[f"{target} {case}"] = (table.index, table["logits"], table["targets"], records.compute().index)
    torch.save(tables, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, tuple[Tensor, ...]]]:
    """What each of two processes computed; a collective operation that hangs is an error after a minute."""
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(_worker, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("target", list(KINDS))
@pytest.mark.parametrize("case", range(len(SHARDS)))
def test_each_of_two_processes_has_every_sample_once(tables, rank: int, target: str, case: int) -> None:
    rows = sorted({row for shard in SHARDS[case] for row in shard})
    index, logits, targets, again = tables[rank][f"{target} {case}"]
    assert index.tolist() == rows
    assert torch.equal(logits, index[:, None].float().expand(-1, 2))
    assert torch.equal(targets, KINDS[target][rows]) and targets.dtype == KINDS[target].dtype
    assert again.tolist() == [0, 1]
