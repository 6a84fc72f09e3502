"""The formats by name, and how one of them is written."""

from collections.abc import Callable
from pathlib import Path

from transfusion_cli.export import hf_folder, onnx_file, timm_folder, torchscript_file
from transfusion_cli.export.folding import fold
from transfusion_cli.export.trained_run import TrainedRun
from transfusion_cli.export.whole_folder import whole_folder
from transfusion_cli.versions import free_path

Write = Callable[[TrainedRun, list[str], Path], float]
"""Fills a folder, loads what it wrote anew, and gives the largest difference.

Its arguments: the run with its network folded, names of the strategies that could not be, the folder.
"""

FORMATS: dict[str, Write] = {
    "timm": timm_folder.write,
    "hf": hf_folder.write,
    "onnx": onnx_file.write,
    "torchscript": torchscript_file.write,
}


def export(run: TrainedRun, kind: str, folder: Path | None = None) -> tuple[Path, float]:
    """Write a run in one format, unless what was written does not do what the run did.

    Args:
        run: whose network is folded.
        kind: one of ``FORMATS``.
        folder: to be made; in the run folder if None. Where there is one already it gets a number.

    Returns:
        The folder, and the largest difference between its outputs and the run's.

    Raises:
        UserError: it cannot be written in that format, or gives other outputs.
        Fault: the folder cannot be written.
    """
    path = free_path(folder or run.folder.export / kind)
    kept = fold(run.task)
    with whole_folder(path) as partial:
        difference = FORMATS[kind](run, kept, partial)
    return path, difference
