"""The loss along the straight line between two networks."""

import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from pandas import DataFrame
from torch import Tensor
from torch.func import functional_call

from transfusion_cli.analysis.base import Analysis, Findings, natural, whole
from transfusion_cli.analysis.evaluate import predict_all
from transfusion_cli.analysis.scores import Metrics, scores_for
from transfusion_cli.analysis.style import FONT, TITLES, draw_legend, new_axes, new_figure, styles
from transfusion_cli.analysis.subject import Batch, Subject
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.errors import UserError
from transfusion_cli.figure import Figure
from transfusion_cli.models.batch_norm import reestimate_statistics

log = logging.getLogger(__name__)


class Barrier(Analysis):
    """The loss along the line between each two networks of one architecture."""

    name = "barrier"
    networks = 2

    def add_flags(self, add: Callable[..., Any]) -> None:
        """Points of the line, and what statistics are estimated on there."""
        add("--points", type=natural, default=11, metavar="N", help="of the line between two networks (barrier)")
        batches = "batches for BatchNorm statistics on that line; 0: none"
        add("--reestimate", type=whole, default=8, metavar="N", help=batches)

    def run(self, bench: Workbench) -> Findings:
        """Walk along every line; networks that none leads between are warned of."""
        options, statistics = bench.options, []
        if options.reestimate:
            images = options.reestimate * bench.data.batch_size
            statistics = [batch["image"] for batch in bench.batches("statistics", "train", images)]
        rows: list[dict[str, Any]] = []
        heights: dict[str, float] = {}
        lines = ["Loss barrier: the greatest excess of the loss over the line between its ends"]
        for (a, one), (b, other) in combinations(zip(bench.networks, bench.subjects, strict=True), 2):
            score, pair = scores_for(a.task, bench.data), f"{a.name} to {b.name}"
            batches = bench.batches(pair)
            try:
                along = interpolate(one, other, batches, score, options.points, statistics, options.device)
            except UserError as error:
                log.warning("%s", error)
                continue
            alphas, losses = zip(*((r["alpha"], r["value"]) for r in along if r["measure"] == "loss"), strict=True)
            heights[pair] = barrier_height(alphas, losses)
            lines.append(f"  {pair:<40} {heights[pair]:.4f}   (ends {losses[0]:.4f} and {losses[-1]:.4f})")
            common = {"network_a": a.name, "network_b": b.name, "pair": pair}
            rows += [{**common, **row, "loss_barrier": heights[pair]} for row in along]
        if not rows:
            raise UserError("No two of these networks have the same tensors: there is no line between them.")
        figures = {"loss barrier": barrier_figure(DataFrame(rows), heights)}
        return Findings({"barrier": rows}, figures, "\n".join(lines))


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
        return lambda images: functional_call(
            network, _between(a, b, alpha) | buffers.get(alpha, {}), (_input(a, b, alpha, images),)
        )

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
    ours, theirs = a.network.state_dict(), b.network.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours if name.endswith(("running_mean", "running_var")))


def _between(a: Subject, b: Subject, alpha: float) -> dict[str, Tensor]:
    ends = a.network.state_dict(), b.network.state_dict()
    return {n: torch.lerp(x, ends[1][n], alpha) if x.is_floating_point() else x for n, x in ends[0].items()}


def _input(a: Subject, b: Subject, alpha: float, images: Tensor) -> Tensor:
    """Where the networks normalise differently, the input goes from the one's to the other's as well."""
    return torch.lerp(a.normalise(images), b.normalise(images), alpha)


def barrier_figure(frame: DataFrame, heights: Mapping[str, float]) -> Figure:
    """Loss and AUROC along the straight line between two networks.

    Args:
        frame: rows with pair, alpha, measure and value.
        heights: barrier of the loss by pair.
    """
    shown = [measure for measure in ("loss", "auroc") if frame[frame["measure"] == measure]["value"].notna().any()]
    figure = new_figure(2.8 + 3.4 * len(shown), 3.8)
    for position, measure in enumerate(shown, start=1):
        axes = new_axes(figure, position=(1, len(shown), position), ylabel=TITLES[measure])
        part = frame[frame["measure"] == measure]
        for (pair, own), (color, line) in zip(part.groupby("pair", sort=False), styles(), strict=False):
            label = f"{pair}\nbarrier {heights[str(pair)]:.3f}" if position == 1 else None
            axes.plot(own["alpha"], own["value"], color=color, linestyle=line, marker="o", markersize=3.5, label=label)
            ends = own["value"].iloc[[0, -1]]
            axes.plot([0, 1], ends, color=color, linewidth=0.8, linestyle=":")
        axes.set_xlabel("α, from the first network to the second", fontsize=FONT)
    draw_legend(figure)
    return figure
