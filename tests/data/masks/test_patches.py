"""Patches: where they lie, and that all about them follows from seed, epoch and position."""

import numpy as np
import pytest
import torch
from support.drawn_cases import DrawnReader

from transfusion_cli.data.masks.case import Case
from transfusion_cli.data.masks.patches import PatchDataset


@pytest.mark.parametrize("dims", [2, 3])
def test_a_patch_follows_from_seed_epoch_and_position(dims):
    def dataset(seed=1):
        return PatchDataset(DrawnReader(dims), np.arange(4), (9,) * dims, 3, seed, 0.5)

    assert len(dataset()) == 12
    first, again = dataset()[7, 2], dataset()[7, 2]
    assert all(torch.equal(first[name], again[name]) for name in first) and first["index"] == 7 // 3
    others = dataset()[7, 3], dataset(2)[7, 2], dataset()[6, 2]
    assert not any(torch.equal(first["image"], other["image"]) for other in others)


def test_as_many_patches_as_asked_are_centred_on_a_class():
    class Speck(DrawnReader):
        def read(self, row):
            mask = np.zeros((64, 64), np.uint8)
            mask[40, 30] = 1
            mask[5:7, 60] = 2  # near a corner: the patch ends at the border
            return Case.plain(mask[None].copy(), mask)

    dataset = PatchDataset(Speck(2), np.arange(1), (9, 9), 600, 0, 1 / 3)
    targets = torch.stack([dataset[place, 0]["target"] for place in range(600)])
    centred = (targets == 1).sum((1, 2)).bool(), (targets == 2).sum((1, 2)).bool()
    # A patch that lies anywhere has the first speck with chance (9 / 56)^2, as no other it lies in the middle.
    middle = targets[centred[0]][:, 4, 4] == 1
    assert 60 < int(middle.sum()) < 140 and 60 < int(centred[1].sum()) < 140
    none = PatchDataset(Speck(2), np.arange(1), (9, 9), 600, 0, 0.0)
    assert sum(bool(none[place, 0]["target"].any()) for place in range(600)) < 60


def test_a_case_smaller_than_its_patch_lies_in_the_middle_of_it():
    dataset = PatchDataset(DrawnReader(2, side=24), np.arange(1), (40, 20), 1, 0, 1.0)
    target = dataset[0, 0]["target"]
    assert target.shape == (40, 20) and (target[:8] == 255).all() and (target[8:32] != 255).all()


def test_changes_get_their_own_generator():
    def augment(image, mask, rng):
        return image + rng.integers(1, 100), mask

    dataset = PatchDataset(DrawnReader(2), np.arange(2), (9, 9), 1, 0, 0.0, augment)
    plain = PatchDataset(DrawnReader(2), np.arange(2), (9, 9), 1, 0, 0.0)
    moved = [(dataset[at, 0]["image"] - plain[at, 0]["image"]).unique() for at in (0, 1, 0)]
    assert all(len(shift) == 1 and shift > 0 for shift in moved) and moved[0] == moved[2] != moved[1]
