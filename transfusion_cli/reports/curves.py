"""Curves for TensorBoard, for whose sake no training ends."""

import io
import logging
import socket
import time
from itertools import count
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event
from torch.utils.tensorboard import FileWriter, RecordWriter, SummaryWriter

from transfusion_cli.errors import Fault
from transfusion_cli.files import append

log = logging.getLogger(__name__)

PREFIX = "events.out.tfevents."

KEPT = 1 << 26
"""Bytes that wait at most for a disk with room again."""


class EventFile:
    """Takes the place of TensorBoard's own writer, whose thread dies of a full disk and takes the training with it.

    Each record is written whole. Those that cannot be written are tried again with the next ones.

    Args:
        folder: where the file lies.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = _free_name(folder)
        self._waiting = io.BytesIO()
        self._records = RecordWriter(self._waiting)
        self._is_told = False
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add_event(self, event: Event) -> None:
        """Add an event; it is written with the next ``flush``."""
        self._records.write(event.SerializeToString())

    def flush(self) -> None:
        """Write what waits, and say so the first time that it cannot be written."""
        content = self._waiting.getvalue()
        try:
            append(self.path, content)
        except Fault as fault:
            if not self._is_told:
                log.warning("%s\nThe run goes on; its curves wait for room.", fault.what)
            self._is_told = True
            if len(content) < KEPT:
                return
        self._waiting.seek(0)
        self._waiting.truncate()

    def get_logdir(self) -> str:
        """The folder."""
        return str(self.folder)

    def close(self) -> None:
        """Write what waits; there is nothing else to close."""
        self.flush()

    reopen = flush


class _Writer(FileWriter):
    def __init__(self, folder: Path) -> None:
        self.event_writer = EventFile(folder)  # in place of TensorBoard's


class Events(SummaryWriter):
    """TensorBoard's writer, into an ``EventFile``.

    Args:
        folder: where its file lies; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(str(folder))

    file_writer: Any
    all_writers: Any

    def _get_file_writer(self) -> Any:
        if self.file_writer is None:
            self.file_writer = _Writer(self._folder)
            self.all_writers = {str(self._folder): self.file_writer}
        return self.file_writer


class Curves(TensorBoardLogger):
    """Lightning's logger for TensorBoard, straight into the run folder, whose ``config.yaml`` says the rest.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.parent.parent, folder.parent.name, folder.name, default_hp_metric=False)
        self.folder = folder

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer."""
        if self._experiment is None:
            self._experiment = Events(self.folder)
        return self._experiment

    def save(self) -> None:
        """Write what waits."""
        if self._experiment is not None:
            self._experiment.flush()


def _free_name(folder: Path) -> Path:
    """A name as TensorBoard gives them, which sorts after those that are there, whatever the clock says.

    TensorBoard reads the files of a folder by their names; of a resumed run whose clock was set back, or that goes on
    on another machine, it would read the end first.
    """
    times = (path.name.removeprefix(PREFIX).partition(".")[0] for path in folder.glob(f"{PREFIX}*"))
    now = max([int(time.time()), *(int(number) + 1 for number in times if number.isdigit())])
    host = socket.gethostname()
    return next(path for number in count() if not (path := folder / f"{PREFIX}{now:010d}.{host}.{number}").exists())
