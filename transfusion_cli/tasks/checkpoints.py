"""Reading checkpoints with errors a user can act on, and writing them so that nothing is lost."""

import pickle
import shlex
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from transfusion_cli.errors import UserError
from transfusion_cli.files import whole_file
from transfusion_cli.models.torch_file import DamagedFile, read_torch_file
from transfusion_cli.tasks.base import CHECKPOINT_KEY
from transfusion_cli.tasks.description import Run, described


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a run's checkpoint onto the CPU, without running any code it may hold.

    Raises:
        UserError: when the file is missing, truncated, pickled code, or no checkpoint of this program.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"No checkpoint at {path}.\nA run keeps its own in checkpoints/best.ckpt and checkpoints/last.ckpt."
        )
    if path.suffix == ".safetensors":
        raise UserError(
            f"{path} holds what a run changed, or weights alone: nothing that training could go on from.\n"
            "Go on from the run's last.ckpt. To evaluate a delta:\n"
            f"transfusion test --ckpt_path {shlex.quote(str(path))}"
        )
    try:
        checkpoint = read_torch_file(path)
    except DamagedFile as error:
        raise UserError(
            f"{path} is damaged: it does not hold what was written to it ({str(error)[:80]}).\n"
            "Try the run's other checkpoint (best.ckpt or last.ckpt), or a copy."
        ) from None
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.\nAsk its owner, or see its mode: ls -l") from None
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error).lower() or "Unsupported" in str(error):
            raise UserError(
                f"{path} holds pickled code and was refused: loading it could run anything.\n"
                "Give a checkpoint that this program wrote."
            ) from None
        raise UserError(f"{path} is not a readable checkpoint (damaged or not a checkpoint at all).") from None
    except Exception:  # a damaged file can break its reader anywhere
        raise UserError(
            f"{path} is truncated or not a checkpoint.\nTry the run's other checkpoint (best.ckpt or last.ckpt)."
        ) from None
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise UserError(
            f"{path} is not a checkpoint of a transfusion run.\n"
            f"To start from weights of another program: --model.pretrained {shlex.quote(str(path))}"
        )
    described(checkpoint[CHECKPOINT_KEY], Run, path)
    return checkpoint


def check_compatible(task: Any, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Make sure that a checkpoint belongs to the configured task.

    Raises:
        UserError: when backbone, classes or (for resuming) the phases differ.
    """
    own = checkpoint[CHECKPOINT_KEY]
    if own["backbone"] != task.backbone:
        raise UserError(
            f"{path} holds a {own['backbone']}, but --model.backbone is {task.backbone}.\n"
            f"Set --model.backbone {own['backbone']}, or leave --config out to use the run's own."
        )
    if list(own["class_names"]) != list(task.class_names):
        raise UserError(
            f"{path} was trained on {len(own['class_names'])} classes ({_few(own['class_names'])}),\n"
            f"but the data have {len(task.class_names)} ({_few(task.class_names)}).\n"
            "Give the data the checkpoint was trained for."
        )


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes each checkpoint beside its place and renames it when whole: a full disk costs no earlier checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``.

        Raises:
            Fault: when the disk is full or the folder cannot be written; what lay at ``path`` is still there.
        """
        with whole_file(Path(path)) as file:
            torch.save(checkpoint, file)
