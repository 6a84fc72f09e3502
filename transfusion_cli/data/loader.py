"""The loader behind every data module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from transfusion_cli.data.obedience import obey_parent
from transfusion_cli.data.sampler import TrainingSampler
from transfusion_cli.errors import UserError

Batch = dict[str, torch.Tensor]


def collate(samples: list[Batch]) -> Batch:
    """Stack samples; where 8-bit images meet deeper ones, all become float in [0, 1]."""
    images = [sample["image"] for sample in samples]
    if len({image.dtype for image in images}) > 1:
        images = [image if image.is_floating_point() else image.float() / 255 for image in images]
    batch = {name: torch.stack([sample[name] for sample in samples]) for name in ("target", "index")}
    return {"image": torch.stack(images), **batch}


def quiet_worker(worker: int) -> None:
    """One thread per worker: OpenCV would otherwise start one per core in each of them. The main process decides."""
    import cv2

    cv2.setNumThreads(0)
    obey_parent()


class MedicalLoader(DataLoader):
    """A DataLoader that begins where the Trainer's batch counter stands.

    Lightning makes the iterator before it has told the sampler the epoch, and, where a schedule asks for the
    number of steps, even before it has restored the counters of a checkpoint. So the work starts with
    the first batch that is asked for: by then the counters are right, whether the run is new, in its next epoch, or
    resumed at any batch of an epoch.

    Args:
        batches_done: Tells how many batches of the running epoch are behind; None for loaders that start at 0.
        kwargs: As for ``torch.utils.data.DataLoader``.
    """

    def __init__(self, *args: Any, batches_done: Callable[[], int] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batches_done = batches_done

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        if self.batches_done is not None and isinstance(self.sampler, TrainingSampler):
            self.sampler.skip = self.batches_done() % len(self)
        try:
            yield from super().__iter__()
        except UserError as error:
            # A worker's error arrives wrapped in its traceback; the user needs the message alone.
            raise UserError(str(error).rpartition("UserError: ")[2].strip()) from None

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the place in the epoch is in the Trainer's counters. Tells Lightning that resuming is exact."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``state_dict``."""
