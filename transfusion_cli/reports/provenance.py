"""What results were made of, so that nobody takes them for others."""

import datetime
import hashlib
import sys
from pathlib import Path
from typing import Any

import transfusion_cli
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.samples import Split
from transfusion_cli.tasks.base import TransferTask


def provenance(task: TransferTask, data: MedicalDataModule, checkpoint: str | None, split: Split) -> dict[str, Any]:
    """Plain data about one evaluation.

    ``own_split`` says whether all samples that the run held back were evaluated and no others: such results of several
    runs may stand side by side. It is null where the run's split is not known. ``mirror`` says whether mirror images
    were averaged over.

    Args:
        task: what was evaluated.
        data: on what.
        checkpoint: the file that its weights came from, if any.
        split: the split that was evaluated.
    """
    return {
        "command": ["transfusion", *sys.argv[1:]],
        "transfusion": transfusion_cli.__version__,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "checkpoint": checkpoint,
        "checkpoint_sha256": checkpoint and file_hash(Path(checkpoint)),
        "data": type(data).__name__,
        "root": data.root and str(data.root),
        "table": str(table) if (table := getattr(data, "table", None)) else None,
        "split": split,
        "split_sha256": data.split_hash,
        "run_split_sha256": task.split,
        "own_split": own_split(task, data, split),
        "mirror": is_mirrored(task),
    }


def is_mirrored(task: Any) -> bool:
    """Whether a task averages over mirror images when it is tested."""
    return bool(getattr(task, "mirror", False))


def own_split(task: TransferTask, data: MedicalDataModule, split: Split) -> bool | None:
    """Whether ``split`` of the data holds what it held in the run; None where that is not known."""
    if data.run_split is not None:
        return data.run_split.is_split_of(data.samples, split)
    if task.split is None:
        return None
    return True if task.split == data.split_hash else None


def file_hash(path: Path) -> str | None:
    """SHA-256 of a file; None where it is gone."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
