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
        lines.append(f"phase {number} {phase.name} ({length}): {count:,} train ({count / total:.2%})")
        for group in GROUPS:
            names = [name for name in phase.trainable if parts.group_of(name) == group]
            if names:
                some = ", ".join(names[:2]) + (" …" if len(names) > 2 else "")
                rate = phase.lr.get(group)
                at = "" if rate is None else f"  lr {rate:g}"
                lines.append(f"  {group:<16}{sum(sizes[n] for n in names):>12,} in {len(names):>3} tensors{at}  {some}")
        if parts.batch_norm:
            moving = phase.moving(parts)
            fresh = f", but update in {len(moving)} fresh layers" if moving and phase.statistics != "update" else ""
            momentum = f", momentum {phase.momentum:g}" if moving and phase.momentum is not None else ""
            lines.append(f"  BatchNorm statistics: {phase.statistics}{fresh}{momentum}")
    return "\n".join(lines)
