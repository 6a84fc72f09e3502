"""One TorchScript file, with normalisation and probabilities inside."""

import json
import warnings
import zipfile
from pathlib import Path

import torch

from transfusion_cli.export.deployed import Deployed
from transfusion_cli.export.tracing import compared, not_recorded, two_of
from transfusion_cli.export.trained_run import TrainedRun

NAME = "model.pt"
ABOUT = "about.json"
"""What the file says of itself, beside its code: ``torch.jit.load(..., _extra_files={"about.json": ""})``."""


def write(run: TrainedRun, kept: list[str], folder: Path) -> float:
    """Write ``model.pt``, and see that it does what the run did.

    Args:
        run: with its network folded.
        kept: strategies whose parts stay in the network.
        folder: to write to.

    Returns:
        The largest difference.

    Raises:
        UserError: the network cannot be traced, or outputs differ.
    """
    network = Deployed(run.task.network, run.task.target, run.preprocessing, run.decisions)
    path = folder / NAME
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch asks for another format, and of sizes that are constants here
        try:
            traced = torch.jit.trace(network, two_of(run.reference.images), check_trace=False)
        except Exception as error:  # whatever a network does that cannot be recorded
            raise not_recorded(run.architecture, error) from error
        whole = path.with_suffix(".whole.pt")
        torch.jit.save(traced, str(whole), _extra_files={ABOUT: json.dumps(run.about)})
        without_paths(whole, path)
        whole.unlink()
        return compared(run, torch.jit.load(str(path), map_location="cpu"))


def without_paths(whole: Path, path: Path) -> None:
    """Copy a TorchScript file without what debuggers read: the lines of this machine's files, with their paths."""
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as copy:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                copy.writestr(entry.filename, source.read(entry))
