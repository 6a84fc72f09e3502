"""The loader behind every data module."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, get_worker_info

from transfusion_cli.data.obedience import held_signals, obey_parent
from transfusion_cli.data.sampler import TrainingSampler
from transfusion_cli.data.worker_faults import worker_fault
from transfusion_cli.errors import Fault, UserError

log = logging.getLogger(__name__)

Batch = dict[str, torch.Tensor]


def collate(samples: list[Batch]) -> Batch:
    """Stack samples; where 8-bit images meet deeper ones, all become float in [0, 1]."""
    images = [sample["image"] for sample in samples]
    if len({image.dtype for image in images}) > 1:
        images = [image if image.is_floating_point() else image.float() / 255 for image in images]
    batch = {name: torch.stack([sample[name] for sample in samples]) for name in ("target", "index")}
    batch = {"image": torch.stack(images), **batch}
    if get_worker_info() is not None:
        # The queue to the main process would do so in a thread, and the main process wait for ever if there is no room.
        batch = {name: tensor.share_memory_() for name, tensor in batch.items()}
    return batch


def quiet_worker(worker: int) -> None:
    """One thread per worker: OpenCV would otherwise start one per core in each of them. The main process decides."""
    import cv2

    cv2.setNumThreads(0)
    obey_parent()


class MedicalLoader(DataLoader[Batch]):
    """A DataLoader that begins where the Trainer's batch counter stands.

    Lightning makes the iterator before it has told the sampler the epoch, and, where a schedule asks for the
    number of steps, even before it has restored the counters of a checkpoint. So the work starts with
    the first batch that is asked for: by then the counters are right, whether the run is new, in its next epoch, or
    resumed at any batch of an epoch.

    Where its workers are killed, or have no shared memory left, it does their work itself: nobody misses a batch, and
    the run can come to a place where all is saved.

    Args:
        batches_done: tells how many batches of the running epoch are behind; None for loaders that start at 0.
        bridged: is told what became of the workers, once their work is done here.
        kwargs: as for ``torch.utils.data.DataLoader``.
    """

    def __init__(
        self,
        *args: Any,
        batches_done: Callable[[], int] | None = None,
        bridged: Callable[[Fault], None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.batches_done, self.bridged = batches_done, bridged

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        if self.batches_done is not None and isinstance(self.sampler, TrainingSampler):
            self.sampler.skip = self.batches_done() % len(self)
        done, fault = 0, None
        batches: Iterator[Batch] = iter(())
        try:
            for batch in (batches := self._begin()):
                yield batch
                done += 1
        except UserError as error:
            self._end(batches)
            # A worker's error arrives wrapped in its traceback; the user needs the message alone.
            raise UserError(str(error).rpartition(f"{type(error).__name__}: ")[2].strip()) from None
        except Exception as error:
            fault = worker_fault(error, getattr(batches, "_workers", []))
            self._end(batches)
            if fault is None:
                raise
        if fault is not None:
            log.warning("%s.\nTheir work is done in the main process for now.", fault.what)
            if self.bridged is not None:
                self.bridged(fault)
            yield from self._itself(done)

    def _begin(self) -> Iterator[Batch]:
        """Start the workers."""
        if threading.current_thread() is not threading.main_thread():
            return super().__iter__()
        handler = signal.getsignal(signal.SIGCHLD)
        with held_signals():
            batches = super().__iter__()
        # Torch would raise an error as soon as a worker dies, wherever the main process is then: within a step.
        signal.signal(signal.SIGCHLD, handler)
        return batches

    def _end(self, batches: Iterator[Batch]) -> None:
        """End the workers: an error keeps them alive, and once it is collected torch waits five seconds for each."""
        self._iterator = None
        if hasattr(batches, "_shutdown_workers"):
            batches._shutdown_workers()

    def _itself(self, done: int) -> Iterator[Batch]:
        """The batches after the first ``done``, loaded in this process."""
        rest = list(islice(self._index_sampler, done, None))
        return iter(
            DataLoader(self.dataset, batch_sampler=rest, collate_fn=self.collate_fn, pin_memory=self.pin_memory)
        )

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the place in the epoch is in the Trainer's counters. Tells Lightning that resuming is exact."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``state_dict``."""
