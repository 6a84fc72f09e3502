"""Batches of a data module's images, for training and for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor

from transfusion_cli.data.dataset import Augment, ImageDataset, Reader
from transfusion_cli.data.feature_pass import FeaturePass
from transfusion_cli.data.feature_set import FeatureSet
from transfusion_cli.data.feature_store import FOLDER, FeatureStore
from transfusion_cli.data.loader import Batch, MedicalLoader, collate, quiet_worker
from transfusion_cli.data.sampler import (
    EvaluationSampler,
    Key,
    TrainingSampler,
    balanced_chances,
    check_world,
    equal_batches,
)
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.transform.augmentation import Augmentation
from transfusion_cli.data.transform.resize import Resize, ResizeMode
from transfusion_cli.data.transform.shuffle import BlockShuffle
from transfusion_cli.data.transform.volumes import WholeVolumeAugmentation
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

    dims: Literal[2, 3] = 2
    """Axes of the images: 2, or 3 for volumes."""

    in_chans: int
    """Channels of the images: 1 or 3."""

    @property
    def unit(self) -> str:
        """What texts call the samples: a case may be several volumes."""
        return "images" if self.dims == 2 else "cases"

    dataset_class = ImageDataset
    fault: Fault | None = None
    """What failed in loading, where the work was done all the same."""

    features: Mapping[Split, FeatureSet] = MappingProxyType({})
    """What stands in for the images of some splits, see ``use_features``."""

    @property
    def samples(self) -> SampleTable:
        """All samples with targets, patients and splits."""
        raise NotImplementedError

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of the images, or depth, height and width."""
        raise NotImplementedError

    def reader_of(self, split: Split) -> Reader:
        """What the loaders of a split read its images with."""
        raise NotImplementedError

    def train_dataloader(self) -> MedicalLoader:
        """Training images, shuffled and augmented; resumes at the Trainer's batch counter."""
        rank, world = self._place()
        rows = self.samples.rows("train")
        chances = balanced_chances(self.samples.targets[rows]) if self.balanced else None
        dataset = self.features.get("train") or self.training_set()
        sampler = TrainingSampler(len(dataset), self.batch_size, self.seed, chances, rank, world)
        batches: dict[str, Any] = {
            "sampler": sampler,
            "batch_size": sampler.batch_size // world,
            "batches_done": self._batches_done,
        }
        return self._loader(dataset, **batches)

    def statistics_dataloader(self, group: int) -> MedicalLoader:
        """Every training image once, without augmentation, in groups that ``batch_size`` and processes do not change.

        Args:
            group: images in a group; a few less in each where that makes them equal.
        """
        rank, world = self._place()
        dataset = self.statistics_set()
        return self._loader(dataset, batch_sampler=self._groups(len(dataset), group)[rank::world])

    def whole_dataloader(self, split: Split, group: int) -> MedicalLoader:
        """Every image of a split once, without augmentation, in groups of an order that the seed decides.

        All of them in each process: what comes out is the same in all.

        Args:
            split: which.
            group: images in a group; a few less in each where that makes them equal.
        """
        dataset = self.fixed_set(split)
        return self._loader(dataset, batch_sampler=self._groups(len(dataset), group))

    def _groups(self, size: int, group: int) -> list[list[Key]]:
        """Places in a data set of some size, in groups at random."""
        order = np.random.default_rng(self.seed).permutation(size)
        return [[(int(place), 0) for place in places] for places in np.array_split(order, -(-size // group))]

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
        return self._loader(self.features.get(split) or self.fixed_set(split), sampler=sampler, batch_size=batch_size)

    # Features in place of images, for a head that trains alone.

    def use_features(self, views: int = 0) -> None:
        """Give features in place of the images of training and validation, until the next ``setup``.

        They have yet to be computed (``fill_features``). Order, batches and processes stay what they are.

        Args:
            views: augmented views of each training image, one after the other over the epochs; 0 takes it as it is.
        """
        training = self.image_set("train", self._augment() if views else None)
        self.features = {"train": FeatureSet(training, max(1, views)), "val": FeatureSet(self.image_set("val"))}

    def fill_features(self, folder: str | None, facts: tuple[Any, ...], compute: Callable[[Batch], Tensor]) -> None:
        """Take them from where they are kept, or compute them.

        Args:
            folder: where they are kept; None for the folder that all runs share.
            facts: what decides them beside the pixels.
            compute: makes the features (B, ...) of a batch of images.
        """
        FeaturePass(self, FeatureStore(folder or FOLDER), facts, compute).run()

    def image_loader(self, images: Any, batches: list[list[Key]]) -> MedicalLoader:
        """Some images of a set in the given batches."""
        return self._loader(images, batch_sampler=batches)

    # What a kind of data reads, where batches hold something else than images and targets.

    def training_set(self) -> Sized:
        """What an epoch draws from, by position and epoch."""
        return self.image_set("train", self._augment() if self.augmentation else None)

    def statistics_set(self) -> Sized:
        """What BatchNorm statistics are estimated on: the training set as it is."""
        return self.image_set("train")

    def fixed_set(self, split: Split) -> Sized:
        """The samples of a split as they are."""
        return self.image_set(split)

    def _augment(self) -> Augment:
        if self.dims == 3:
            return WholeVolumeAugmentation(self.augmentation, self.seed, self.size)
        return Augmentation(self.augmentation, self.seed, self.in_chans)

    def image_set(self, split: Split, augment: Augment | None = None) -> ImageDataset:
        """Images and targets of a split."""
        samples, size = self.samples, self.size
        resize, shuffle = Resize(size, self.resize), None
        if self.shuffle_blocks is not None:
            shuffle = BlockShuffle((size[0], size[1]), self.shuffle_blocks, self.seed)
        return self.dataset_class(samples, samples.rows(split), self.reader_of(split), resize, augment, shuffle)

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches_done(self) -> int:
        return 0 if self.trainer is None else self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def _loader(
        self, dataset: Any, collate_fn: Callable[[list[Batch]], Any] = collate, **batches: Any
    ) -> MedicalLoader:
        nodes = 1 if self.trainer is None else self.trainer.num_nodes
        batch = min(self.batch_size, len(dataset)) // nodes
        workers = self.num_workers
        if isinstance(dataset, FeatureSet):  # whose batches are at hand
            workers, collate_fn = 0, _whole
        check_shared_memory((batch, self.in_chans, *self.size), workers)
        return MedicalLoader(
            dataset,
            num_workers=workers,
            collate_fn=collate_fn,
            worker_init_fn=quiet_worker,
            bridged=partial(setattr, self, "fault"),
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            **batches,
        )


def _whole(batch: Any) -> Any:
    """A batch that needs no stacking."""
    return batch
