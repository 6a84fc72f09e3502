"""The data module that all data with masks share."""

import numpy as np
import pytest
import torch
from support.drawn_cases import DrawnCases, DrawnReader

from transfusion_cli.data.masks.whole_cases import collate_cases
from transfusion_cli.errors import UserError


class OfWorld:
    """As much of a trainer as says which process this is."""

    def __init__(self, rank, world):
        self.global_rank, self.world_size, self.num_nodes, self.local_rank = rank, world, 1, rank
        self.fit_loop = self

    @property
    def epoch_loop(self):
        return self

    batch_progress = current = property(lambda self: self)
    ready = 0


@pytest.mark.parametrize("dims", [2, 3])
def test_training_batches_are_patches(dims):
    data = DrawnCases(dims, patches_per_case=3)
    batches = list(data.train_dataloader())
    assert len(batches) == 4 * 3 // 4
    assert batches[0]["image"].shape == (4, 1, *(16,) * dims) and batches[0]["target"].dtype == torch.uint8
    seen = torch.cat([batch["index"] for batch in batches])
    assert seen.bincount(minlength=4).tolist() == [3] * 4


def test_processes_share_a_batch():
    whole = next(iter(DrawnCases().train_dataloader()))
    parts = []
    for rank in range(2):
        data = DrawnCases()
        data.trainer = OfWorld(rank, 2)
        parts.append(next(iter(data.train_dataloader())))
    for name in whole:
        assert torch.equal(whole[name][0::2], parts[0][name]) and torch.equal(whole[name][1::2], parts[1][name])


@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_case_is_evaluated_once_in_as_many_batches_everywhere(world):
    seen, lengths = [], []
    for rank in range(world):
        data = DrawnCases(cases=15, batch_size=6)
        data.trainer = OfWorld(rank, world)
        batches = list(data.test_dataloader())
        lengths.append(len(batches))
        seen += torch.cat([batch["index"] for batch in batches]).tolist()
    assert len(set(lengths)) == 1 and sorted(seen) == [10, 11, 12, 13, 14]


def test_evaluation_batches_are_whole_cases():
    batch = next(iter(DrawnCases(3).val_dataloader()))
    (case,) = batch["cases"]
    own = DrawnReader(3).whole(int(batch["index"][0]))
    assert np.array_equal(case["truth"], own.truth) and np.array_equal(case["image"], own.image)
    assert case["box"].tolist() == [[0, side] for side in own.truth.shape] and case["spacing"].tolist() == [1, 1, 1]


def test_workers_give_the_same():
    alone, with_workers = DrawnCases(), DrawnCases(num_workers=1)
    for one, other in zip(alone.train_dataloader(), with_workers.train_dataloader(), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    for one, other in zip(alone.val_dataloader(), with_workers.val_dataloader(), strict=True):
        assert torch.equal(one["cases"][0]["image"], other["cases"][0]["image"])


def test_statistics_come_from_patches_that_lie_anywhere():
    data = DrawnCases(patches_per_case=5)
    groups = [batch["index"] for batch in data.statistics_dataloader(64)]
    assert torch.cat(groups).bincount(minlength=4).tolist() == [5] * 4
    assert data.statistics_set().foreground == 0 and data.training_set().foreground == data.foreground
    large = DrawnCases(patches_per_case=5, patch_size=512)
    assert max(len(batch["index"]) for batch in large.statistics_dataloader(64)) <= 12


def test_a_case_without_its_mask_is_told():
    class Bare(DrawnCases):
        def load_samples(self):
            table = super().load_samples()
            table.masks[3] = ""
            return table

    with pytest.raises(UserError, match="case3"):
        _ = Bare().samples


@pytest.mark.parametrize(
    "wrong", [{"patch_size": 0}, {"patches_per_case": 0}, {"foreground": 2.0}, {"patch_size": [3]}]
)
def test_mistakes_are_told(wrong):
    with pytest.raises(UserError):
        DrawnCases(**wrong)


def test_pictures_for_people():
    assert DrawnCases(2).make_reader("train", None)(0).ndim == 2
    assert DrawnCases(3).make_reader("train", None)(0).shape == DrawnReader(3).whole(0).mask.shape[1:]


def test_cases_are_no_stack():
    cases = [{"image": torch.zeros(1, side, side), "index": torch.tensor(side)} for side in (3, 5)]
    batch = collate_cases(cases)
    assert [case["image"].shape[1] for case in batch["cases"]] == [3, 5] and batch["index"].tolist() == [3, 5]


def test_cases_that_cannot_be_read_are_counted_before_training():
    class Damaged(DrawnReader):
        def read(self, row):
            if row in (1, 3):
                raise UserError(f"case{row} is damaged")
            return super().read(row)

    class Some(DrawnCases):
        def case_reader(self, split):
            return Damaged(2)

    Some().prepare_data()
    with pytest.raises(UserError, match="2 of 4 images cannot be read"):
        Some(verify=True).prepare_data()
