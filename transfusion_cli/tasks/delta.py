"""Delta checkpoints: what a run changed, without what it started from."""

import json
import shlex
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from transfusion_cli.errors import UserError
from transfusion_cli.files import whole_file
from transfusion_cli.models.state_hash import state_hash
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.description import Network, described

FORMAT = "transfusion-delta-1"


def is_delta(path: str | Path) -> bool:
    """Whether ``path`` is named like a delta checkpoint."""
    return str(path).endswith(".safetensors")


def save_delta(task: TransferTask, path: str | Path) -> int:
    """Write the tensors that differ from the base weights, and verify what was written.

    The file holds every trained parameter and changed buffer, and in its metadata the hash of the base weights.

    Args:
        task: a task whose network is built.
        path: where to write; replaced only once the new file is whole and verified.

    Returns:
        Size of the file in bytes.

    Raises:
        Fault: when the file could not be written whole.
    """
    path = Path(path)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in task.state_dict().items()}
    # The network's names inside the task carry a prefix that the base weights do not know.
    network = {name: tensor for name, tensor in state.items() if name.startswith("network.")}
    plain = {name.removeprefix("network."): tensor for name, tensor in network.items()}
    changed = task.transferred.base.changed(plain)
    tensors = {f"network.{name}": tensor for name, tensor in changed.items()}
    tensors |= {name: tensor for name, tensor in state.items() if name not in network}
    own = {**task.describe(), "state_sha256": state_hash(state)}
    metadata = {
        "format": FORMAT,
        "base_sha256": task.transferred.base.sha256,
        "base_source": task.transferred.base.source,
        "task": json.dumps(own),
    }
    content = save({name: tensor.clone() for name, tensor in tensors.items()}, metadata)
    with whole_file(path) as file:
        file.write(content)
        file.flush()
        try:
            with safe_open(file.name, framework="pt") as written:
                same = state_hash({name: written.get_tensor(name) for name in tensors}) == state_hash(tensors)
        except SafetensorError:
            same = False
        if not same:
            raise OSError("the file does not hold what was written to it")
    return path.stat().st_size


def load_delta(task: TransferTask, path: str | Path) -> None:
    """Rebuild a network from its base weights and a delta checkpoint, bit for bit.

    Raises:
        UserError: when the file is missing, damaged or of another backbone, or the base weights are not those
            that the run started from.
    """
    tensors, metadata = _read(Path(path))
    try:
        own = described(json.loads(metadata["task"]), Network, path)
        base_sha256, base_source = metadata["base_sha256"], metadata["base_source"]
    except (KeyError, ValueError):
        raise UserError(f"{path} does not say what it is a part of.\nGive the run's best.ckpt.") from None
    if own["backbone"] != task.backbone or own["class_names"] != list(getattr(task, "class_names", [])):
        raise UserError(
            f"{path} holds a {own['backbone']} for {len(own['class_names'])} classes, which is not configured.\n"
            "Leave --config out to use the run's own."
        )
    task.build(own, with_base=True)
    if task.transferred.base.sha256 != base_sha256:
        raise UserError(
            f"{path} belongs to other base weights than --model.pretrained {shlex.quote(str(task.pretrained))}.\n"
            f"The run started from {base_source!r} (sha256 {base_sha256[:12]}…)."
        )
    try:
        _, unexpected = task.load_state_dict(tensors, strict=False)
    except RuntimeError:  # tensors of other shapes
        unexpected = list(tensors)
    state = {name: tensor.detach().cpu() for name, tensor in task.state_dict().items()}
    if unexpected:
        raise UserError(
            f"{path} does not fit the configured network ({len(unexpected)} tensors without a place).\n"
            "Use the run's own config: leave --config out, or give its --model.transfer."
        )
    if state_hash(state) != own.get("state_sha256"):
        raise UserError(
            f"{path} is damaged, or the configured network is another: together they are not what was saved.\n"
            "Use the run's own config (leave --config out or give its --model.transfer), or the run's best.ckpt."
        )
    task.validation_metrics, task.split = own.get("metrics", {}), own.get("split")


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    if not path.is_file():
        raise UserError(f"No delta checkpoint at {path}.\nA run keeps its own in checkpoints/delta.safetensors.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}\nAsk its owner, or see its mode: ls -l") from None
    except SafetensorError as error:
        raise UserError(f"{path} is truncated or not a safetensors file ({error}).") from None
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a delta checkpoint.\n"
            f"To start from these weights: --model.pretrained {shlex.quote(str(path))}"
        )
    return tensors, metadata
