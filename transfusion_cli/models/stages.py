"""The stages of a network, in the order of the way from input to classifier, under the same names everywhere."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from timm.models import group_parameters
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import decoder_names, encoder_of, head_names, in_head, pretrained_config
from transfusion_cli.suggest import did_you_mean

TABLES = {
    # timm counts every Mixed module as a block of its own; these are the stages between changes of resolution.
    "inception_v3": {
        "conv1": r"Conv2d_1a_",
        "conv2": r"Conv2d_2[ab]_",
        "conv3": r"Conv2d_3b_",
        "conv4": r"Conv2d_4a_",
        "block1": r"Mixed_5",
        "block2": r"Mixed_6",
        "block3": r"Mixed_7",
    },
}


HEAD = "head"
"""Stage of the classifier, where it is to count as one."""


def stages(network: nn.Module) -> dict[str, tuple[str, ...]]:
    """Stage to the names of all its tensors in the state dict; the classifier belongs to none.

    ``conv1`` is the stem, ``block1``, ``block2`` and so on follow, by timm's own grouping of the architecture's
    parameters. What stands between the last block and the classifier goes with the last block. The steps of a decoder,
    ``decoder1`` and so on, coarse first, come after the stages of its encoder.

    Raises:
        UserError: timm does not group this architecture.
    """
    inside, encoder = encoder_of(network)
    decoder = decoder_names(network)
    found = _of_encoder(encoder, (*head_names(encoder), *([] if inside else decoder)))
    steps = {
        f"decoder{number}": tuple(name for name in network.state_dict() if name.startswith(f"{step}."))
        for number, step in enumerate(decoder, start=1)
    }
    return {stage: tuple(inside + name for name in names) for stage, names in found.items()} | steps


def _of_encoder(network: nn.Module, above: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Stages of all but what lies in the modules ``above``."""
    names = [name for name in network.state_dict() if not in_head(name, above)]
    table = TABLES.get(pretrained_config(network).get("architecture", ""))
    stage_of = _by_table(names, table) if table else _by_timm(network, names, above)
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(stage_of[name], []).append(name)
    ordered = sorted(found, key=lambda stage: (not stage.startswith("conv"), int(re.sub(r"\D", "", stage))))
    return {stage: tuple(found[stage]) for stage in ordered}


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


def layers(network: nn.Module) -> dict[str, int]:
    """Parameter to the number of its layer, from the input on; by timm's finest grouping.

    A residual block or a transformer block is a layer, where ``stages`` may have several of them in one. What timm
    leaves over, such as a norm between the last block and the classifier, is in the classifier's layer, the last. Above
    an encoder each step of the decoder is a layer.

    Raises:
        UserError: timm does not group this architecture.
    """
    inside, encoder = encoder_of(network)
    numbers = {inside + name: number for name, number in _groups(encoder, coarse=False).items()}
    steps = decoder_names(network)
    if not steps:
        return numbers
    above = (*steps, *head_names(network))
    numbers = {name: number for name, number in numbers.items() if not in_head(name, above)}
    last = max(numbers.values())
    for name, _ in network.named_parameters():
        step = next((number for number, step in enumerate(steps) if in_head(name, (step,))), len(steps))
        numbers.setdefault(name, last + 1 + step)
    return numbers


def prefix(network: nn.Module, up_to: str) -> frozenset[str]:
    """Names of all tensors from the input up to and including a stage.

    Raises:
        UserError: no such stage.
    """
    parts = stages(network)
    named(parts, [up_to])
    order = list(parts)
    return named(parts, order[: order.index(up_to) + 1])


def named(parts: Mapping[str, Iterable[str]], chosen: Iterable[str]) -> frozenset[str]:
    """Names of all tensors of some stages.

    Args:
        parts: stage to its tensors.
        chosen: names of stages.

    Raises:
        UserError: no such stage.
    """
    for stage in chosen:
        if stage not in parts:
            raise UserError(f"this backbone has no stage {stage!r}\n{did_you_mean(stage, parts)}")
    return frozenset(name for stage in chosen for name in parts[stage])


def _by_table(names: list[str], table: dict[str, str]) -> dict[str, str]:
    stage_of, last = {}, "conv1"
    for name in names:
        last = next((stage for stage, pattern in table.items() if re.match(pattern, name)), last)
        stage_of[name] = last
    return stage_of


def _by_timm(network: nn.Module, names: list[str], heads: tuple[str, ...]) -> dict[str, str]:
    numbers = _groups(network, coarse=True)
    top = max(number for name, number in numbers.items() if not in_head(name, heads))
    # The classifier's group may hold a last norm: it belongs to the block before.
    with_head = {number for name, number in numbers.items() if in_head(name, heads)}
    last = max((n for n in numbers.values() if n not in with_head), default=top)
    modules = {name.rpartition(".")[0]: min(number, last) for name, number in numbers.items()}
    stage_of, before = {}, 0
    for name in names:
        before = modules.get(name.rpartition(".")[0], before)  # buffers go with the parameters of their module
        stage_of[name] = f"block{before}" if before else "conv1"
    return stage_of


def _groups(network: nn.Module, coarse: bool) -> dict[str, int]:
    """Parameter to the number of timm's group."""
    if not hasattr(network, "group_matcher"):
        raise UserError(
            f"timm does not say what the stages of a {type(network).__name__} are.\n"
            "Choose another strategy, such as --model.transfer FullFineTuning, or another backbone."
        )
    of_network: Any = network
    numbers: dict[str, int] = group_parameters(network, of_network.group_matcher(coarse=coarse), reverse=True)
    return numbers
