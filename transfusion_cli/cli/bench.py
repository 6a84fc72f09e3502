"""What the parts of ``transfusion analyze`` work on and give back."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Subset
from tqdm import tqdm

from transfusion_cli.analysis.subject import Batch, Metrics, Subject
from transfusion_cli.cli.networks import Network
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.loader import MedicalLoader
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.tasks.classification import ClassificationTask

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Findings(NamedTuple):
    """What one analysis found.

    Args:
        tables: rows by file name.
        figures: by name.
        text: for the terminal.
    """

    tables: dict[str, list[dict[str, Any]]]
    figures: dict[str, Figure]
    text: str


@dataclass
class Bench:
    """What the analyses work on.

    Args:
        networks: loaded.
        options: the flags.
        make_data: builds the data module; called once, by the first analysis that needs images.
        layers: layers to look at, by network.
    """

    networks: list[Network]
    options: argparse.Namespace
    make_data: Callable[[], MedicalDataModule]
    layers: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def data(self) -> MedicalDataModule:
        """The data, ready to be read."""
        data = self.make_data()
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
            rows = torch.linspace(0, total - 1, images).round().long().unique().tolist()
            part = Subset(loader.dataset, rows)
            loader = MedicalLoader(
                part,
                batch_size=size,
                num_workers=loader.num_workers,
                collate_fn=loader.collate_fn,
                worker_init_fn=loader.worker_init_fn,
            )
        return tqdm(loader, desc=what, leave=False, disable=None)

    def scores_for(self, task: ClassificationTask) -> Metrics:
        """Loss and metrics of a task's logits.

        Raises:
            UserError: the data have other classes than the network.
        """
        if list(task.class_names) != list(self.data.class_names) or task.target != self.data.target:
            raise UserError(
                f"The network tells {', '.join(task.class_names[:4])}; the data have "
                f"{', '.join(self.data.class_names[:4])}.\nGive the data it was trained for: --config FILE."
            )

        def score(logits: Tensor, targets: Tensor) -> dict[str, float]:
            loss = task.loss.mean(logits.to(task.device), targets.to(task.device)).item()
            metrics = ClassificationEvaluation.of_logits(task.target, task.class_names, logits, targets).metrics
            return {"loss": loss, "auroc": metrics["auroc"], "accuracy": metrics["accuracy"]}

        return score

    def pair_of(self, a: str, b: str) -> str:
        """What two networks are an example of: a run before and after its training, or one group with another."""
        group = {network.name: network.spec.group for network in self.networks}
        if self.is_before_and_after(a, b):
            after = b if a.startswith("init:") else a
            return f"{group[after]}: before to after"
        return " × ".join(sorted((group[a], group[b])))

    def is_before_and_after(self, a: str, b: str) -> bool:
        """Whether two networks are one run's before and after training."""
        of = {network.name: network.spec for network in self.networks}
        one, other = of[a], of[b]
        return one.path is not None and one.path == other.path and {one.kind, other.kind} == {"init", "run"}
