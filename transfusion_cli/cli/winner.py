"""The config that starts from the best candidate."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from transfusion_cli.cli.app import TransfusionCLI
from transfusion_cli.files import whole_file, write_text
from transfusion_cli.transferability.candidates import Candidate
from transfusion_cli.transferability.source import Source, weights_file


def write_winner(cli: TransfusionCLI, winner: Candidate, model: Mapping[str, Any], folder: Path, why: str) -> Path:
    """Write ``winner.yaml``: the whole configuration as it was given, with another backbone and its weights.

    A network that no file holds as it is, such as one with AC-Norm layers folded, gets a file of weights beside it.

    Args:
        cli: with the configuration.
        winner: the candidate.
        model: see ``Source.load``.
        folder: where to.
        why: it is the winner, for whoever reads the file.

    Returns:
        The path.
    """
    weights = weights_file(winner)
    backbone, further = winner.backbone or model["backbone"], {}
    if winner.spec is not None:
        source = Source.load(winner, model)
        backbone, further = source.task.backbone, source.task.backbone_args
        if weights is None:
            weights = str(_save(source, folder / "winner.safetensors").absolute())
    elif backbone == model.get("backbone"):
        further = model.get("backbone_args") or {}
    given = cli.own.model.init_args
    given.backbone, given.pretrained, given.backbone_args = backbone, weights, further
    path = folder / "winner.yaml"
    write_text(path, f"# {winner.name}, {why} (transfusion rank).\n{cli.saved_config()}")
    return path


def _save(source: Source, path: Path) -> Path:
    """The weights but for the classifier's, with what ``read_weights`` wants to know of them."""
    state = {
        name: tensor.contiguous().clone()
        for name, tensor in source.network.state_dict().items()
        if name in source.carried
    }
    task = source.task
    facts = {"mean": task.mean.flatten(), "std": task.std.flatten()}
    metadata = {name: json.dumps(values.tolist()) for name, values in facts.items()}
    with whole_file(path) as file:
        file.write(save(state, metadata | {"input_size": json.dumps(list(task.input_size))}))
    return path
