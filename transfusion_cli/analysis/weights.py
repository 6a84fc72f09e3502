"""How far weights have moved: tensor by tensor and stage by stage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.stages import stages

HEAD = "head"
"""Stage of the classifier."""


def stage_of_tensors(network: nn.Module) -> dict[str, str]:
    """Name of each tensor of the state dict to its stage, in the order of the stages; the classifier comes last.

    Where timm does not group the architecture, stages are the outermost modules.
    """
    names = list(network.state_dict())
    try:
        parts = stages(network)
    except UserError:
        return {name: name.partition(".")[0] for name in names}
    found = {name: stage for stage, members in parts.items() for name in members}
    return found | {name: HEAD for name in names if name not in found}


def roles(network: nn.Module) -> dict[str, str]:
    """Name of each floating-point tensor to what it is.

    ``scale``, ``shift``, ``running mean`` and ``running variance`` of batch normalisation; ``weight`` with two
    dimensions or more, ``bias`` with fewer, for everything else.
    """
    parts = {"weight": "scale", "bias": "shift", "running_mean": "running mean", "running_var": "running variance"}
    normalising = batch_norm_layers(network)
    found = {}
    for name, tensor in network.state_dict().items():
        layer, _, part = name.rpartition(".")
        if layer in normalising and part in parts:
            found[name] = parts[part]
        elif tensor.is_floating_point():
            found[name] = "weight" if tensor.ndim >= 2 else "bias"
    return found


def movement(a: nn.Module, b: nn.Module) -> list[dict[str, Any]]:
    """Distance from network ``a`` to network ``b``, a row per tensor or stage, role and measure.

    ``l2`` is |b - a|, ``relative_l2`` that by |a|, ``cosine`` the angle's; NaN where |a| (or |b|) is 0. A stage's rows
    are of all its tensors of one role, and of all its ``parameters``. Tensors that only one network has, or in
    another shape, are left out.

    Returns:
        Rows with level (``tensor`` or ``stage``), stage, name, role, measure, value and elements.
    """
    stage_of, role_of = stage_of_tensors(a), roles(a)
    ours, theirs = a.state_dict(), b.state_dict()
    common = [n for n in stage_of if n in role_of and n in theirs and theirs[n].shape == ours[n].shape]
    sums: dict[tuple[str, str], Tensor] = {}
    rows: list[dict[str, Any]] = []
    for name in common:
        own = _products(ours[name], theirs[name])
        rows += _rows("tensor", stage_of[name], name, role_of[name], own)
        for role in (role_of[name], *([] if role_of[name].startswith("running") else ["parameters"])):
            key = (stage_of[name], role)
            sums[key] = sums.get(key, torch.zeros_like(own)) + own
    order = list(dict.fromkeys(stage_of.values()))
    for (stage, role), total in sorted(sums.items(), key=lambda item: order.index(item[0][0])):
        rows += _rows("stage", stage, stage, role, total)
    return rows


def _products(a: Tensor, b: Tensor) -> Tensor:
    """|a|², |b|², <a, b>, |b - a|² and the number of elements, which add up over tensors."""
    a, b = a.detach().double().cpu().flatten(), b.detach().double().cpu().flatten()
    difference = b - a
    return torch.stack([a @ a, b @ b, a @ b, difference @ difference, torch.tensor(float(len(a)))])


def _rows(level: str, stage: str, name: str, role: str, products: Tensor) -> Iterator[dict[str, Any]]:
    aa, bb, ab, moved, elements = products.tolist()
    values = {
        "l2": math.sqrt(moved),
        "relative_l2": math.sqrt(moved / aa) if aa else math.nan,
        "cosine": min(1.0, max(-1.0, ab / math.sqrt(aa * bb))) if aa and bb else math.nan,
    }
    common = {"level": level, "stage": stage, "name": name, "role": role}
    return ({**common, "measure": m, "value": value, "elements": int(elements)} for m, value in values.items())
