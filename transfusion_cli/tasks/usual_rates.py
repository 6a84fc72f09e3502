"""Learning rates that are usual for fine-tuning a whole network, and a word on those that are far above."""

import torch
from torch import nn
from torch.optim import SGD, Adam, Adamax, NAdam, Optimizer, RAdam

from transfusion_cli.models.norms import norm_layers
from transfusion_cli.strategies.plan import Phase
from transfusion_cli.tasks.network import Transferred

TRANSFORMERS, CONVOLUTIONAL = "transformers and ConvNeXts", "convolutional networks"
ADAM = (Adam, Adamax, NAdam, RAdam)
"""Optimizers whose steps are as long as the rate says, whatever the gradient; AdamW is one of Adam's."""

USUAL: dict[tuple[str, bool], float] = {
    # ConvNeXt (Liu et al. 2022, table 5) 5e-5; fine-tuned CLIP (Wortsman et al. 2022) 1e-5 to 3e-5
    (TRANSFORMERS, True): 5e-5,
    # ViT (Dosovitskiy et al. 2021, table 4) 1e-3 to 6e-2
    (TRANSFORMERS, False): 1e-2,
    # CheXpert (Irvin et al. 2019) 1e-4; the three-dimensional networks of AC-Norm (Zhang et al. 2023) 1e-3
    (CONVOLUTIONAL, True): 3e-4,
    # the library of AC-Norm's two-dimensional runs (tllib)
    (CONVOLUTIONAL, False): 1e-2,
}
"""Family, and whether the optimizer is of Adam's kind, to a rate at batches of 32 to 512."""

FAR = 10
"""How many times the usual rate is worth a word."""


def rate_remark(own: Transferred, phase: Phase, optimizer: Optimizer) -> str | None:
    """Say that a phase trains the whole network far too fast, as it often does where full fine-tuning fails.

    The rate looked at is the one at or above which half of the network trains from the source's weights: 0 where a
    strategy trains a few of them or starts afresh, the middle one under a decay by layers.

    Args:
        own: the network.
        phase: what trains.
        optimizer: holds it, before any step.

    Returns:
        The usual rate and what to type, in two lines; None where nothing is odd, or nothing usual is known.
    """
    if not isinstance(optimizer, (SGD, *ADAM)):
        return None
    family = TRANSFORMERS if any(map(_by_layer, norm_layers(own.network).values())) else CONVOLUTIONAL
    usual, rate = USUAL[family, isinstance(optimizer, ADAM)], _middle_rate(own, optimizer)
    if rate < FAR * usual * (1 - 1e-6):  # 5e-4 is ten times 5e-5, up to rounding
        return None
    key, given = ("transfer", phase.lr["rest"]) if "rest" in phase.lr else ("optimizer", optimizer.defaults["lr"])
    return (
        f"The whole network trains at {rate:.2g}; {usual:.0e} is usual for {family} with {type(optimizer).__name__}\n"
        f"Full fine-tuning often fails at such rates: try --model.{key}.lr {given * usual / rate:.0e}"
    )


def _by_layer(norm: nn.Module) -> bool:
    return isinstance(norm, nn.LayerNorm | nn.RMSNorm) or "RmsNorm" in type(norm).__name__


def _middle_rate(own: Transferred, optimizer: Optimizer) -> float:
    """The weighted median of the rates of all but what is new; what does not train has the rate 0."""
    rates = {
        id(parameter): float(group.get("initial_lr", group["lr"]))
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    parts, own_parameters = own.parts, dict(own.network.named_parameters())
    body = {name: own_parameters[name] for name in parts.names if name not in set(parts.new)}
    each = [rates.get(id(tensor), 0.0) if name in parts.carried else 0.0 for name, tensor in body.items()]
    rate, order = torch.tensor(each, dtype=torch.float64).sort()
    reached = torch.tensor([tensor.numel() for tensor in body.values()])[order].cumsum(0)
    return rate[int(torch.searchsorted(reached, reached[-1] / 2))].item()
