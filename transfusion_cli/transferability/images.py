"""The images of the target that candidates are looked at with."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.feature_pass import pixel_facts
from transfusion_cli.data.feature_set import FeatureSet
from transfusion_cli.data.loader import MedicalLoader
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.splits import hold_out_images
from transfusion_cli.errors import UserError

Batches = Iterator[tuple[np.ndarray, Tensor]]
"""Positions (B,) among the images, and the images (B, C, *sides) as the data give them."""


class Images:
    """Labelled images of one split without augmentation, whole patients of it, read once at each size.

    What was read at a size is kept until the end in a file without a name, on the disk and not in memory; where it has
    no room, images are read again.

    Args:
        data: where they come from.
        split: which of its splits; never the test's, which is to be looked at once, by the winner.
        number: images to take at most; as whole patients are taken, a few more may be.
        seed: of the choice of patients.
        folder: with room for such files.

    Raises:
        UserError: the data have masks, or no labelled image in that split.
    """

    def __init__(
        self, data: MedicalDataModule, split: Literal["train", "val"], number: int, seed: int, folder: Path
    ) -> None:
        if isinstance(data, MaskDataModule):
            raise UserError(
                f"{type(data).__name__} has masks, and candidates are ranked by whole images with labels.\n"
                "Give data of images with labels by --config FILE."
            )
        data.prepare_data()
        data.setup("fit")
        self.data, self.split, self.seed, self.folder = data, split, seed, folder.expanduser()
        table = data.samples
        inside = table.rows(split)
        labelled = inside[_labelled(table.targets[inside])]
        if not len(labelled):
            raise UserError(f"No image of the {split} split has a label.\nChoose the other: --split train or val")
        self.rows = labelled
        if number < len(labelled):
            units = table.ids if table.patients is None else table.patients
            self.rows = labelled[hold_out_images(units[labelled], table.strata[labelled], number, seed)]
        self.targets = torch.as_tensor(table.targets[self.rows])
        self.groups = torch.as_tensor(table.groups[self.rows])
        self._places = np.searchsorted(inside, self.rows)
        self._kept: dict[tuple[int, ...], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def patients(self) -> int:
        """How many patients they are of; images, where no patients are known."""
        return len(self.groups.unique())

    def facts(self, size: tuple[int, ...]) -> tuple[Any, ...]:
        """What decides the images at some size, for ``feature_key``: which they are, how they are read, their files."""
        data = self._sized(size)
        images = data.image_set(self.split)
        images.rows = self.rows
        return pixel_facts(data, self.split, FeatureSet(images))

    def batches(self, size: tuple[int, ...], order: np.ndarray | None = None, keep: bool = False) -> Batches:
        """The images at the size that a network expects, unless the data say another.

        Args:
            size: which the network expects.
            order: positions of those to give, in order; all in the order of the table by default.
            keep: whether they will be asked for again.
        """
        data = self._sized(size)
        whole = order is None
        places = np.arange(len(self)) if order is None else order
        step = min(data.batch_size, len(self))
        if (kept := self._kept.get(data.size)) is not None:
            for start in range(0, len(places), step):
                some = places[start : start + step]
                yield some, torch.from_numpy(kept[some])
            return
        loader = data.fixed_dataloader(self.split)
        part = MedicalLoader(
            Subset(loader.dataset, self._places[places].tolist()),
            batch_size=step,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
        )
        spool, done = None, 0
        for batch in part:
            images = batch["image"]
            if keep and whole and not done:
                spool = self._room_for(images)
            if spool is not None and spool.dtype == images.numpy().dtype:
                spool[done : done + len(images)] = images.numpy()
            else:
                spool = None  # 8-bit images among deeper ones are scaled batch by batch
            yield places[done : done + len(images)], images
            done += len(images)
        if spool is not None:
            self._kept[data.size] = spool

    def _sized(self, size: tuple[int, ...]) -> MedicalDataModule:
        self.data.network_size = size
        return self.data

    def _room_for(self, images: Tensor) -> np.ndarray | None:
        """An array on the disk for all images, gone with this process however it ends; None where it has no room."""
        array, shape = images.numpy(), (len(self), *images.shape[1:])
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < 2 * array[0].nbytes * len(self):
            return None
        with tempfile.TemporaryFile(dir=self.folder) as file:
            return np.memmap(file, array.dtype, "w+", shape=shape)


def _labelled(targets: np.ndarray) -> np.ndarray:
    """Which images have any label that is known: bool (N,)."""
    known = ~np.isnan(targets) if targets.dtype.kind == "f" else targets >= 0
    return np.asarray(known.reshape(len(known), -1).any(axis=1))
