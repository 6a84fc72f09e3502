"""A folder as timm writes it for a hub: what the network is, and its weights."""

import json
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from timm.data.config import resolve_model_data_config
from timm.models import is_model, model_entrypoint
from timm.models._hub import save_config_for_hf
from torch import nn

from transfusion_cli.data.transform.resize import ResizeMode
from transfusion_cli.errors import UserError
from transfusion_cli.export.trained_run import TrainedRun

CROP_MODES: dict[ResizeMode, str] = {"stretch": "squash", "crop": "center", "pad": "border"}
"""What timm calls the ways of resizing. Its ``border`` enlarges small images, and ours does not."""

OF_OTHER_WEIGHTS = ("tag", "license", "origin_url", "paper_name", "paper_ids", "notes", "description")
"""What timm knows about published weights, and is no longer true."""


def write(run: TrainedRun, kept: list[str], folder: Path) -> float:
    """Write ``config.json`` and ``model.safetensors``, and see that timm makes of them what the run did.

    Args:
        run: with its network folded.
        kept: strategies whose parts stay in the network.
        folder: to write to.

    Returns:
        The largest difference of logits.

    Raises:
        UserError: timm does not know the architecture, or outputs differ.
    """
    network = run.task.network
    check_ordinary(run, kept)
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config = folder / "config.json"
    made = run.preprocessing
    data = {
        "input_size": (len(made.mean), *made.size),
        "mean": made.mean,
        "std": made.std,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": CROP_MODES[made.resize],
    }
    more: dict[str, Any] = {"label_names": run.labels, "transfusion": run.about}
    save_config_for_hf(network, str(config), model_config=more, data_config=data)
    content = json.loads(config.read_text(encoding="utf-8"))
    for name in OF_OTHER_WEIGHTS:
        content["pretrained_cfg"].pop(name, None)
    config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return run.reference.agree(outputs(folder, run))


def check_ordinary(run: TrainedRun, kept: list[str]) -> None:
    """See that timm alone knows what the network is.

    Raises:
        UserError: it does not.
    """
    instead = f"Nothing was written. Whole, it can be taken away: transfusion export {run.folder} --format onnx"
    if kept:
        raise UserError(f"What {' and '.join(kept)} trained is no weight of a {run.architecture}.\n{instead}")
    name = run.architecture
    if not is_model(name) or not model_entrypoint(name).__module__.startswith("timm."):
        raise UserError(f"{name} is an architecture that timm alone does not know.\n{instead}")


def outputs(folder: Path, run: TrainedRun) -> torch.Tensor:
    """Logits (N, K) of the run's images, by timm and what the folder says.

    Raises:
        UserError: timm does not make a network of it.
    """
    try:
        network: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    except Exception as error:  # tensors of other shapes, in the main: a strategy had changed the architecture
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"A plain {run.architecture} does not take the run's weights: {reason[:200]}\n"
            f"Nothing was written. Whole, it can be taken away: transfusion export {run.folder} --format onnx"
        ) from error
    data = resolve_model_data_config(network)
    mean, std = (torch.tensor(data[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    images = run.reference.images / 255
    if images.shape[1] == 1:
        images = images.expand(-1, mean.shape[1], -1, -1)
    with torch.no_grad():
        logits: torch.Tensor = network((images - mean) / std)
    return logits
