"""A folder for the Hugging Face hub: that of timm, with a model card."""

from pathlib import Path

from transfusion_cli.export import timm_folder
from transfusion_cli.export.model_card import model_card
from transfusion_cli.export.trained_run import TrainedRun


def write(run: TrainedRun, kept: list[str], folder: Path) -> float:
    """Write what timm reads, and ``README.md``; arguments as of ``timm_folder.write``."""
    difference = timm_folder.write(run, kept, folder)
    (folder / "README.md").write_text(model_card(run), encoding="utf-8")
    return difference
