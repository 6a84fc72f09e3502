"""The plan of a run: which parameters train, in which phase, at what rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.strategies.cached import Cached
from transfusion_cli.strategies.parts import NetworkParts

Statistics = Literal["frozen", "update", "reestimate", "frozen_all"]
"""What BatchNorm statistics do.

* ``frozen``: the stored statistics normalise in training and evaluation; no buffer ever changes.
* ``update``: batches normalise themselves in training and move the running averages.
* ``reestimate``: recomputed once on the target training set, then frozen (AdaBN, Li et al. 2017).
* ``frozen_all``: frozen even where there is nothing to keep. Layers that were not carried over follow ``update`` under
  the first and the third: their stored statistics are the mean 0 and variance 1 that every layer begins with.
"""

Affine = Literal["both", "scale", "shift"]
"""Which BatchNorm affine parameters train: scale (gamma), shift (beta) or both."""

GROUPS = ("head", "decoder", "scale_and_shift", "adapter", "rest")
"""The parameter groups a learning rate can be given for."""

Rates = float | dict[str, float] | None
"""A learning rate: one number, one per parameter group, or None for the optimizer's own."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training with a fixed trainable set and a fresh optimizer.

    Args:
        name: shown in the audit and in TensorBoard.
        trainable: names of the parameters that train; all others stay bit-identical.
        statistics: what the BatchNorm statistics do (see ``Statistics``).
        momentum: BatchNorm momentum in PyTorch's sense (weight of the new batch), or None for the layers' own.
        lr: learning rate of each group in ``GROUPS``; a missing group takes the optimizer's.
        epochs: length of the phase; None lasts until the trainer's ``max_epochs``.
        early_stop: whether the run's early stopping may end this phase before its epochs are over. The next
            phase then starts from the best weights so far.
        cached: how features are kept, where the phase trains the head alone on features that are computed once.
        factors: parameter names to factors on the rate of their group; a missing parameter has 1.
        still: names of tensors in stages that stay as they are in every respect: modules that hold no others are in
            evaluation mode, and BatchNorm statistics stay unless they are fresh.
    """

    name: str
    trainable: tuple[str, ...]
    statistics: Statistics = "update"
    momentum: float | None = None
    lr: Mapping[str, float] = field(default_factory=dict)
    epochs: int | None = None
    early_stop: bool = True
    cached: Cached | None = None
    factors: Mapping[str, float] = field(default_factory=dict)
    still: frozenset[str] = frozenset()

    def moving(self, parts: NetworkParts) -> frozenset[str]:
        """The BatchNorm layers that normalise by batch statistics and move their running averages."""
        match self.statistics:
            case "update":
                return parts.fresh.union(n for n in parts.batch_norm if f"{n}.running_mean" not in self.still)
            case "frozen_all":
                return frozenset()
            case _:
                return parts.fresh


def rates(lr: Rates) -> dict[str, float]:
    """Learning rates by group from what a user wrote.

    Raises:
        UserError: for a group that does not exist, or a rate that is none.
    """
    if lr is None:
        return {}
    given = lr if isinstance(lr, Mapping) else dict.fromkeys(GROUPS, lr)
    unknown = set(given) - set(GROUPS)
    if unknown:
        raise UserError(
            f"No parameter group is named {', '.join(sorted(unknown))}.\nThe groups are {', '.join(GROUPS)}."
        )
    wrong = next((rate for rate in given.values() if not 0 <= rate < math.inf), None)
    if wrong is not None:
        raise UserError(f"A learning rate of the transfer strategy is {wrong}.\nIt must be 0 or more, and finite.")
    return {group: float(rate) for group, rate in given.items()}


def check_plan(plan: list[Phase], parts: NetworkParts) -> list[Phase]:
    """Return ``plan`` if the network can follow it.

    Raises:
        UserError: when the plan is empty, trains nothing, or names parameters that the network lacks.
    """
    if not plan:
        raise UserError("The transfer strategy planned no phase.\nIts `select` must return at least one Phase.")
    for phase in plan:
        unknown = [name for name in phase.trainable if name not in set(parts.names)]
        if unknown:
            raise UserError(f"Phase {phase.name!r} trains parameters that the network lacks, such as {unknown[0]!r}.")
        if not phase.trainable:
            raise UserError(f"Phase {phase.name!r} trains no parameter at all.\nChoose another transfer strategy.")
    if any(phase.epochs is None for phase in plan[:-1]):
        raise UserError("Only the last phase may be open-ended.\nGive the earlier phases a number of epochs.")
    return plan


def parameter_groups(
    network: nn.Module, phase: Phase, parts: NetworkParts, *, lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Optimizer groups that hold exactly the phase's trainable parameters.

    Scale, shift and bias get no weight decay (one-dimensional tensors). Groups are named as in
    :data:`GROUPS`, with ``/x0.75`` for a factor on the rate and ``/no_decay`` where a group is split. Factors that
    agree in six digits count as the same.
    """
    parameters = dict(network.named_parameters())
    groups: dict[str, dict[str, Any]] = {}
    for name in phase.trainable:
        kind = parts.group_of(name)
        bare = name in parts.flat
        split = bare and kind != "scale_and_shift" and weight_decay != 0
        factor = phase.factors.get(name, 1.0)
        label = kind + (f"/x{factor:g}" if factor != 1 else "") + ("/no_decay" if split else "")
        rate = phase.lr.get(kind, lr) * factor
        group = groups.setdefault(
            label, {"name": label, "params": [], "lr": rate, "weight_decay": 0.0 if bare else weight_decay}
        )
        group["params"].append(parameters[name])
    return list(groups.values())
