"""The order of training samples: from seed and epoch alone, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from transfusion_cli.data.splits import label_matrix
from transfusion_cli.errors import UserError

Key = tuple[int, int]
"""Position in the dataset and epoch: all that a sample and its augmentation depend on."""


class TrainingSampler(Sampler[Key]):
    """This process's share of every global batch, in an order that depends on the seed and the epoch alone.

    The last, ragged batch is left out. With several processes, batch b of all of them together holds the
    samples that batch b of one process would hold.

    Args:
        size: samples in the training set.
        batch_size: samples per optimizer step, over all processes together; fewer where the set is smaller.
        seed: of the order.
        weights: chance of each sample (size,) in balanced sampling (drawn with replacement), or None to see each once.
        rank: this process.
        world_size: number of processes.

    Raises:
        UserError: ``batch_size`` is no multiple of ``world_size``, or there are fewer samples than processes.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        weights: np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_world(size, batch_size, world_size)
        self.batch_size = min(batch_size, size // world_size * world_size)
        self.num_batches = size // self.batch_size
        self.size, self.seed, self.weights, self.rank, self.world_size = size, seed, weights, rank, world_size
        self.epoch = 0
        self.skip = 0
        """Batches left out at the start of the next pass: those that a resumed run has already seen."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next pass follows; Lightning calls this."""
        self.epoch = epoch

    def global_order(self) -> np.ndarray:
        """Positions of the whole epoch over all processes, batch after batch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        if self.weights is None:
            order = rng.permutation(self.size)
        else:
            order = rng.choice(self.size, size=self.size, p=self.weights / self.weights.sum())
        return order[: self.num_batches * self.batch_size]

    def __iter__(self) -> Iterator[Key]:
        share = self.global_order()[self.skip * self.batch_size :][self.rank :: self.world_size]
        epoch = self.epoch
        return ((int(position), epoch) for position in share)

    def __len__(self) -> int:
        return self.num_batches * self.batch_size // self.world_size


class EvaluationSampler(Sampler[Key]):
    """This process's share of the samples, in order, each sample in exactly one process.

    Args:
        size: samples in the set.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(self, size: int, rank: int = 0, world_size: int = 1) -> None:
        self.size, self.rank, self.world_size = size, rank, world_size

    def __iter__(self) -> Iterator[Key]:
        return ((position, 0) for position in range(self.rank, self.size, self.world_size))

    def __len__(self) -> int:
        return len(range(self.rank, self.size, self.world_size))


def balanced_chances(targets: np.ndarray) -> np.ndarray:
    """Chance of each sample (N,): the mean over its known labels of one over the label value's count.

    Args:
        targets: of the training samples, see ``transfusion_cli.targets``.
    """
    has = label_matrix(targets)
    known = ~np.isnan(targets) if targets.ndim == 2 else has
    counts = np.where(has, (has & known).sum(0), (~has & known).sum(0))
    weights = np.where(known, 1 / np.maximum(counts, 1), 0.0)
    return np.asarray(weights.sum(1) / np.maximum(known.sum(1), 1))


def check_world(size: int, batch_size: int, world_size: int) -> None:
    """Fail where the global batch or the samples cannot be shared among the processes."""
    if batch_size % world_size:
        raise UserError(
            f"batch_size {batch_size} is the number of samples per step over all processes together\n"
            f"and must be a multiple of the number of processes, {world_size}\n"
            f"Try --data.batch_size {-(-batch_size // world_size) * world_size}"
        )
    if size < world_size:
        raise UserError(f"{size} samples cannot be shared among {world_size} processes\nUse fewer --trainer.devices.")


def equal_batches(size: int, batch_size: int, world_size: int) -> int:
    """Evaluation batch size per process, raised until all processes have the same number of batches.

    Processes that evaluate different numbers of batches would wait for each other for ever.
    """
    batch, fewest = batch_size // world_size, size // world_size
    while size % world_size and fewest % batch == 0:
        batch += 1
    return batch
