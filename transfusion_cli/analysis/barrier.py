"""The loss along the straight line between two networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from transfusion_cli.analysis.evaluate import predict_all
from transfusion_cli.analysis.subject import Batch, Metrics, Subject
from transfusion_cli.errors import UserError
from transfusion_cli.models.batch_norm import batch_norm_layers, reestimate_statistics


def interpolate(
    a: Subject,
    b: Subject,
    batches: Iterable[Batch],
    score: Metrics,
    points: int = 11,
    statistics: Sequence[Tensor] = (),
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Metrics of the networks (1 - alpha) a + alpha b, at evenly spaced alpha from 0 to 1.

    Only weights are interpolated. Running statistics of batch normalisation do not follow weights linearly; they
    are estimated anew at every point, the ends included, so that all points are measured alike. Statistics that
    both networks share (frozen ones) stay as they are. Neither network is changed.

    Args:
        a: one end.
        b: the other; same architecture.
        batches: what the metrics are measured on; read once.
        score: the metrics.
        points: number of alphas.
        statistics: images (B, C, H, W) as the data give them, to estimate statistics on; without any, the statistics
            are interpolated like weights.
        device: where the networks are.

    Returns:
        Rows with alpha, measure and value.

    Raises:
        UserError: the networks differ in architecture.
    """
    check_same(a, b)
    network = copy.deepcopy(a.network)
    alphas = torch.linspace(0, 1, points, dtype=torch.float64).tolist()
    restate = bool(statistics) and not same_statistics(a, b)
    buffers: dict[float, dict[str, Tensor]] = {}
    for alpha in alphas if restate else ():
        network.load_state_dict(_between(a, b, alpha))
        reestimate_statistics(network, (_input(a, b, alpha, images.to(device)) for images in statistics))
        buffers[alpha] = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.eval()

    def at(alpha: float) -> Callable[[Tensor], Tensor]:
        def forward(images: Tensor) -> Tensor:
            state = _between(a, b, alpha) | buffers.get(alpha, {})
            return functional_call(network, state, (_input(a, b, alpha, images),))

        return forward

    logits, targets = predict_all({str(alpha): at(alpha) for alpha in alphas}, batches, device)
    metrics = {alpha: score(logits[str(alpha)], targets) for alpha in alphas}
    return [{"alpha": alpha, "measure": m, "value": v} for alpha in alphas for m, v in metrics[alpha].items()]


def barrier_height(alphas: Sequence[float], losses: Sequence[float]) -> float:
    """The greatest excess of the loss over the line between the ends' losses; 0 where it stays below.

    Args:
        alphas: from 0 to 1.
        losses: the loss at each.
    """
    first, last = losses[0], losses[-1]
    above = (loss - (1 - alpha) * first - alpha * last for alpha, loss in zip(alphas, losses, strict=True))
    return max(0.0, *above)


def check_same(a: Subject, b: Subject) -> None:
    """Make sure that two networks have the same tensors.

    Raises:
        UserError: they do not.
    """
    ours, theirs = ({name: t.shape for name, t in s.network.state_dict().items()} for s in (a, b))
    if ours != theirs:
        other = next(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))
        raise UserError(f"There is no line between {a.name} and {b.name}: {other} differs in shape.")


def same_statistics(a: Subject, b: Subject) -> bool:
    """Whether the running statistics of two networks are bit-identical."""
    ours, theirs = batch_norm_layers(a.network), batch_norm_layers(b.network)
    return all(
        torch.equal(buffer, dict(theirs[layer].named_buffers())[name])
        for layer, module in ours.items()
        for name, buffer in module.named_buffers()
        if name in ("running_mean", "running_var")
    )


def _between(a: Subject, b: Subject, alpha: float) -> dict[str, Tensor]:
    ends = a.network.state_dict(), b.network.state_dict()
    return {n: torch.lerp(x, ends[1][n], alpha) if x.is_floating_point() else x for n, x in ends[0].items()}


def _input(a: Subject, b: Subject, alpha: float, images: Tensor) -> Tensor:
    """Where the networks normalise differently, the input goes from the one's to the other's as well."""
    return torch.lerp(a.normalise(images), b.normalise(images), alpha)
