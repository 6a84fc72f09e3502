"""A logistic head at its optimum, under one penalty after the other."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from transfusion_cli.errors import UserError

PATH = tuple(10 ** (2 - step / 2) for step in range(17))
"""From a penalty of 100 to one of 1e-6, two to a decade."""

Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def penalties(l2: Any) -> tuple[float, ...]:
    """The penalties that a user asked for, strongest first, so that each optimum is near the one before.

    Args:
        l2: numbers, ``path`` for ``PATH``, or None for none.

    Raises:
        UserError: one of them is negative or no number.
    """
    found = PATH if l2 == "path" else tuple(l2 or ())
    if wrong := [penalty for penalty in found if not 0 <= penalty < float("inf")]:
        raise UserError(f"A penalty of l2 is {wrong[0]}.\nIt must be 0 or more, and finite, such as [1, 0.1, 0.01].")
    return tuple(sorted(found, reverse=True))


def fit_head(head: nn.Module, batches: Batches, loss: Loss, penalty: float) -> None:
    """Give a classifier the weights that minimise the mean loss of all samples + penalty / 2 * |W|^2, in place.

    By L-BFGS with a line search (Nocedal & Wright 2006, chapter 7), in float64 where the device has it, from the
    weights that it has. Of n samples of weight 1 that is scikit-learn's ``LogisticRegression`` with
    C = 1 / (n penalty). Features are centred for the search, which is the same problem in a better shape, since no
    penalty is on the bias.

    Args:
        head: a linear layer with a bias, or a convolution of one pixel, on features (B, ...).
        batches: gives all features and targets, however often it is called, always in the same order.
        loss: summed loss and summed weight of logits (B, K) and targets.
        penalty: 0 or more.
    """
    device = next(head.parameters()).device
    precise = torch.float32 if device.type == "mps" else torch.float64
    own = {name: tensor.detach().to(precise, copy=True) for name, tensor in head.named_parameters()}
    count = sum(len(features) for features, _ in batches())
    sums = [features.to(device, precise).sum(0, keepdim=True) for features, _ in batches()]
    centre = torch.stack(sums).sum(0) / count

    def logits_of(features: Tensor) -> Tensor:
        logits: Tensor = functional_call(head, own, (features,))
        return logits.flatten(1)

    own["bias"] = logits_of(centre)[0]
    for tensor in own.values():
        tensor.requires_grad_()
    optimizer = torch.optim.LBFGS(
        own.values(), max_iter=1000, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    @torch.enable_grad()
    def objective() -> Tensor:
        optimizer.zero_grad()
        summed = weights = torch.zeros((), dtype=precise, device=device)
        for features, targets in batches():  # one at a time: of the others only the gradients are kept
            total, weight = loss(logits_of(features.to(device, precise) - centre), targets.to(device))
            total.backward()
            summed, weights = summed + total.detach(), weights + weight
        for tensor in own.values():
            assert tensor.grad is not None
            tensor.grad /= weights
        norm = penalty / 2 * own["weight"].square().sum()
        norm.backward()
        return summed / weights + norm.detach()

    optimizer.step(objective)
    with torch.no_grad():
        own["bias"] = logits_of(-centre)[0]
        for name, tensor in head.named_parameters():
            tensor.copy_(own[name])
