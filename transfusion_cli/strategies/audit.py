"""What trains, as a table."""

from torch import nn

from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import GROUPS, Phase


def audit(network: nn.Module, plan: list[Phase], parts: NetworkParts) -> str:
    """A table of the plan: parameters and share that train in each phase, by group, and what BatchNorm does.

    Args:
        network: the network as it will train.
        plan: its phases.
        parts: its parameters by role.
    """
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    total = sum(sizes.values())
    lines = [f"{total:,} parameters, {len(parts.batch_norm)} BatchNorm layers"]
    for number, phase in enumerate(plan, start=1):
        count = sum(sizes[name] for name in phase.trainable)
        length = "to the end" if phase.epochs is None else f"{phase.epochs} epoch{'s' if phase.epochs > 1 else ''}"
        if phase.epochs is not None and phase.early_stop:
            length = f"at most {length}"
        kept = "" if phase.cached is None else ", on features computed once"
        lines.append(f"phase {number} {phase.name} ({length}): {count:,} train ({count / total:.2%}){kept}")
        if parts.decoder:
            lines.append(f"  {_shares(phase, parts, sizes)}")
        for group in GROUPS:
            names = [name for name in phase.trainable if parts.group_of(name) == group]
            if names:
                some = ", ".join(names[:2]) + (" …" if len(names) > 2 else "")
                at = _rates(phase.lr.get(group), [phase.factors.get(name, 1.0) for name in names])
                lines.append(f"  {group:<16}{sum(sizes[n] for n in names):>12,} in {len(names):>3} tensors{at}  {some}")
        if parts.batch_norm:
            moving = phase.moving(parts)
            fresh = f", but update in {len(moving)} fresh layers" if moving and phase.statistics != "update" else ""
            momentum = f", momentum {phase.momentum:g}" if moving and phase.momentum is not None else ""
            lines.append(f"  BatchNorm statistics: {phase.statistics}{fresh}{momentum}")
    return "\n".join(lines)


def _rates(rate: float | None, factors: list[float]) -> str:
    """The rates of a group, from the lowest to the highest; without a rate of its own, as shares of the optimizer's."""
    lowest, highest = (f"{factor if rate is None else rate * factor:.3g}" for factor in (min(factors), max(factors)))
    if rate is None and lowest == highest == "1":
        return ""
    return f"  lr {'' if rate is not None else 'x '}{lowest}" + (f" to {highest}" if lowest != highest else "")


def _shares(phase: Phase, parts: NetworkParts, sizes: dict[str, int]) -> str:
    """How much of what trains lies in encoder, decoder and head."""
    place = dict.fromkeys(parts.decoder, "decoder") | dict.fromkeys(parts.head, "head")
    count = dict.fromkeys(("encoder", "decoder", "head"), 0)
    for name in phase.trainable:
        count[place.get(name, "encoder")] += sizes[name]
    whole = sum(count.values())
    return "of these " + ", ".join(f"{number / whole:.1%} {part}" for part, number in count.items())
