"""Batches of a data module's images, for training and for evaluation."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule

from transfusion_cli.data.dataset import ImageDataset, Reader
from transfusion_cli.data.loader import MedicalLoader, collate, quiet_worker
from transfusion_cli.data.sampler import (
    EvaluationSampler,
    TrainingSampler,
    balanced_chances,
    check_world,
    equal_batches,
)
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.transform.augmentation import Augmentation
from transfusion_cli.data.transform.resize import Resize, ResizeMode
from transfusion_cli.data.transform.shuffle import BlockShuffle
from transfusion_cli.data.worker_faults import check_shared_memory
from transfusion_cli.errors import Fault


class LoadingDataModule(LightningDataModule):
    """The loaders of ``MedicalDataModule``: order, sharding over processes, augmentation, resuming in mid-epoch."""

    batch_size: int
    num_workers: int
    resize: ResizeMode
    augmentation: list[Any]
    shuffle_blocks: int | None
    balanced: bool
    seed: int
    predict_split: Split

    in_chans: int
    """Channels of the images: 1 or 3."""

    dataset_class = ImageDataset
    fault: Fault | None = None
    """What failed in loading, where the work was done all the same."""

    @property
    def samples(self) -> SampleTable:
        """All samples with targets, patients and splits."""
        raise NotImplementedError

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        raise NotImplementedError

    def reader_of(self, split: Split) -> Reader:
        """What the loaders of a split read its images with."""
        raise NotImplementedError

    def train_dataloader(self) -> MedicalLoader:
        """Training images, shuffled and augmented; resumes at the Trainer's batch counter."""
        rank, world = self._place()
        rows = self.samples.rows("train")
        chances = balanced_chances(self.samples.targets[rows]) if self.balanced else None
        sampler = TrainingSampler(len(rows), self.batch_size, self.seed, chances, rank, world)
        augment = Augmentation(self.augmentation, self.seed, self.in_chans) if self.augmentation else None
        batches = {"sampler": sampler, "batch_size": sampler.batch_size // world, "batches_done": self._batches_done}
        return self._loader("train", augment, **batches)

    def statistics_dataloader(self, group: int) -> MedicalLoader:
        """Every training image once, without augmentation, in groups that ``batch_size`` and processes do not change.

        Args:
            group: images in a group; a few less in each where that makes them equal.
        """
        rank, world = self._place()
        order = np.random.default_rng(self.seed).permutation(len(self.samples.rows("train")))
        groups = np.array_split(order, -(-len(order) // group))[rank::world]
        return self._loader("train", batch_sampler=[[(int(place), 0) for place in places] for places in groups])

    def val_dataloader(self) -> MedicalLoader:
        """Validation images in table order."""
        return self.fixed_dataloader("val")

    def test_dataloader(self) -> MedicalLoader:
        """Test images in table order."""
        return self.fixed_dataloader("test")

    def predict_dataloader(self) -> MedicalLoader:
        """Images of ``predict_split`` in table order."""
        return self.fixed_dataloader(self.predict_split)

    def fixed_dataloader(self, split: Split) -> MedicalLoader:
        """Images of a split, each exactly once over all processes, in table order, without augmentation."""
        rank, world = self._place()
        size = len(self.samples.rows(split))
        check_world(size, self.batch_size, world)
        sampler, batch_size = EvaluationSampler(size, rank, world), equal_batches(size, self.batch_size, world)
        return self._loader(split, sampler=sampler, batch_size=batch_size)

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches_done(self) -> int:
        return 0 if self.trainer is None else self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def _loader(self, split: Split, augment: Augmentation | None = None, **batches: Any) -> MedicalLoader:
        samples, resize = self.samples, Resize(self.size, self.resize)
        nodes = 1 if self.trainer is None else self.trainer.num_nodes
        batch = min(self.batch_size, len(samples.rows(split))) // nodes
        check_shared_memory((batch, self.in_chans, *self.size), self.num_workers)
        shuffle = None if self.shuffle_blocks is None else BlockShuffle(self.size, self.shuffle_blocks, self.seed)
        return MedicalLoader(
            self.dataset_class(samples, samples.rows(split), self.reader_of(split), resize, augment, shuffle),
            num_workers=self.num_workers,
            collate_fn=collate,
            worker_init_fn=quiet_worker,
            bridged=partial(setattr, self, "fault"),
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            **batches,
        )
