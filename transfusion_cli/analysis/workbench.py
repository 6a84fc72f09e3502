"""What analyses work on."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from pandas import DataFrame
from torch.utils.data import Subset
from tqdm import tqdm

from transfusion_cli.analysis.networks import Network
from transfusion_cli.analysis.subject import Batch, Subject
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.loader import MedicalLoader
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.errors import UserError


@dataclass
class Workbench:
    """What the analyses work on.

    Args:
        networks: loaded.
        options: the flags: ``split``, ``batches``, ``seed``, ``device``, and what each analysis adds.
        make_data: builds the data module; called once, by the first analysis that needs images.
        layers: layers to look at, by network.
    """

    networks: list[Network]
    options: argparse.Namespace
    make_data: Callable[[], MedicalDataModule]
    layers: dict[str, list[str]]

    @cached_property
    def data(self) -> MedicalDataModule:
        """The data, with images of the size that the networks take."""
        data = self.make_data()
        if isinstance(data, MaskDataModule):
            raise UserError(
                f"{type(data).__name__} has masks, and analyses look at whole images with labels.\n"
                "Give other data by --config FILE, or choose --what weights filters"
            )
        data.prepare_data()
        data.setup("test" if self.options.split == "test" else "fit")
        return data

    @cached_property
    def subjects(self) -> list[Subject]:
        """The networks, on the device."""
        for network in self.networks:
            network.task.to(self.options.device)
        return [network.subject for network in self.networks]

    def batches(self, what: str, split: Any = None, images: int | None = None) -> Iterable[Batch]:
        """Batches of a split without augmentation: all, or so many images spread evenly over it.

        Args:
            what: name of the progress bar.
            split: the chosen one by default.
            images: how many; as many batches as chosen by default.
        """
        loader = self.data.fixed_dataloader(split or self.options.split)
        size, total = loader.batch_size or 1, len(loader.dataset)  # type: ignore[arg-type]
        images = images or size * (self.options.batches or len(loader))
        if images < total:
            rows = sorted(set(torch.linspace(0, total - 1, images).round().long().tolist()))
            part = Subset(loader.dataset, rows)
            loader = MedicalLoader(
                part,
                batch_size=size,
                num_workers=loader.num_workers,
                collate_fn=loader.collate_fn,
                worker_init_fn=loader.worker_init_fn,
            )
        return tqdm(loader, desc=what, leave=False, disable=None)

    @cached_property
    def groups(self) -> dict[str, str]:
        """Name of each network to what it shares with its repetitions."""
        return {network.name: network.spec.group for network in self.networks}

    def paired(self, rows: Sequence[dict[str, Any]]) -> DataFrame:
        """Rows about two networks each as a table, with two more columns.

        ``pair`` is what the two are an example of: a run before and after its training, or one group with another;
        ``before_after`` whether they are the former.

        Args:
            rows: with network_a and network_b.
        """
        frame = DataFrame(rows)
        names = list(zip(frame["network_a"], frame["network_b"], strict=True))
        frame["before_after"] = [self._before_after(*pair) for pair in names]
        frame["pair"] = [self._pair(*pair) for pair in names]
        return frame

    def _pair(self, a: str, b: str) -> str:
        if self._before_after(a, b):
            return f"{self.groups[b if a.startswith('init:') else a]}: before to after"
        return " × ".join(sorted((self.groups[a], self.groups[b])))

    def _before_after(self, a: str, b: str) -> bool:
        of = {network.name: network.spec for network in self.networks}
        one, other = of[a], of[b]
        return one.path is not None and one.path == other.path and {one.kind, other.kind} == {"init", "run"}
