"""Reading weight files without running code from them."""

import argparse
import json
import pickle
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.models.torch_file import read_torch_file

CONTAINERS = (
    *("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "network", "weights", "params"),
    *("net", "network_weights", "teacher", "student"),
)
"""Where training scripts keep the state dict in their checkpoints; averaged weights first, as a teacher's are."""

FACTS = ("mean", "std", "input_size")
"""What the metadata of a safetensors file may say about its weights, as JSON lists."""

DELTA = "transfusion-delta"
"""How the format begins that a delta checkpoint names in its metadata."""

SOURCES = {
    re.compile(r"resnet\d+-[0-9a-f]{8}\.th"): "github.com/akamaster/pytorch_resnet_cifar10, folder pretrained_models",
}
"""Where files come from that shipped configs name, by their names."""


@dataclass(frozen=True)
class WeightsFile:
    """The tensors of a file and the :data:`FACTS` it states."""

    tensors: dict[str, Tensor]
    facts: dict[str, tuple[float, ...]] = field(default_factory=dict)


def read_weights(path: str | Path) -> WeightsFile:
    """Read a ``.safetensors`` file or any PyTorch checkpoint (``.pth``, ``.pt``, ``.th``, ``.bin``, ``.ckpt``).

    Raises:
        UserError: the file is missing, damaged, a delta checkpoint, holds pickled code, no tensors, or tensors that are
            not finite.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        source = next((f"It is one of {where}\n" for name, where in SOURCES.items() if name.fullmatch(path.name)), "")
        raise UserError(f"There is no weights file at {path}\n{source}Give --model.pretrained FILE, true or false")
    weights = _read_safetensors(path) if path.suffix == ".safetensors" else WeightsFile(_find_tensors(_load(path)))
    if not weights.tensors:
        raise UserError(f"No tensors found in the weights file\n{path}\nSave model.state_dict() and nothing else")
    _check_finite(path, weights.tensors)
    return weights


def _check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    broken = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        more = f" and {len(broken) - 1} more of its {len(tensors)} tensors" if len(broken) > 1 else ""
        raise UserError(
            f"The weights file holds NaN or infinity, in {broken[0]}{more}\n{path}\n"
            "Their training diverged: give weights saved before it did"
        )


def _read_safetensors(path: Path) -> WeightsFile:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    if metadata.get("format", "").startswith(DELTA):
        raise UserError(
            f"A delta checkpoint holds what a run changed, not whole weights: {path}\n"
            f"Test or predict with it: --ckpt_path {shlex.quote(str(path))}\n"
            f"Start another run from that one: --model.pretrained {shlex.quote(str(path.with_name('best.ckpt')))}"
        )
    return WeightsFile(tensors, {key: _numbers(path, key, metadata[key]) for key in FACTS if key in metadata})


def _numbers(path: Path, key: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(value + 0 for value in json.loads(text))
    except (json.JSONDecodeError, TypeError) as error:
        raise UserError(f"The weights file's metadata {key} is no JSON list of numbers: {text[:80]}\n{path}") from error


def _load(path: Path) -> Any:
    try:
        # timm's own training checkpoints hold their arguments as a Namespace, which is plain data.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return read_torch_file(path)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error) or ("operand" in str(error) and path.read_bytes()[:1] == pickle.PROTO):
            raise UserError(
                f"The weights file holds pickled code, which is refused because loading would run it{_culprits(path)}"
                f"\n{path}\nSave the weights alone: torch.save(model.state_dict(), path), or as .safetensors"
            ) from error
        raise _damaged(path, ValueError("not in PyTorch's format")) from error
    except Exception as error:  # a damaged file can break its reader anywhere
        raise _damaged(path, error) from error


def _culprits(path: Path) -> str:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, pickle.UnpicklingError):  # files older than PyTorch 1.6 cannot be listed
        return ""
    return f": {', '.join(sorted(names)[:3])}" if names else ""


def _damaged(path: Path, error: Exception) -> UserError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return UserError(f"The weights file cannot be read; is it complete? ({reason})\n{path}\nCopy or download it again")


def _find_tensors(checkpoint: Any) -> dict[str, Tensor]:
    """The state dict in a checkpoint: under one of the usual names, or the mapping itself."""
    if not isinstance(checkpoint, Mapping):
        return {}
    for key in CONTAINERS:
        if isinstance(checkpoint.get(key), Mapping) and (tensors := _find_tensors(checkpoint[key])):
            return tensors
    tensors = {str(name): value for name, value in checkpoint.items() if isinstance(value, Tensor)}
    return {name: tensor for name, tensor in tensors.items() if not _second_name(name, tensors)}


def _second_name(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a tensor has another name too, as nnU-Net's have: the encoder in the decoder, layers in a list."""
    plain = name.replace("decoder.encoder.", "encoder.")
    layer, _, numbered = plain.partition(".all_modules.")
    rest = numbered.partition(".")[2]
    others = (plain, *(f"{layer}.{kind}.{rest}" for kind in ("conv", "norm") if rest))
    return any(other != name and other in tensors for other in others)
