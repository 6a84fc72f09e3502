"""What a network loses when one stage forgets what it learned."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pandas import DataFrame
from torch import Tensor, nn
from torch.func import functional_call

from transfusion_cli.analysis import tables
from transfusion_cli.analysis.base import Analysis, Findings
from transfusion_cli.analysis.evaluate import predict_all
from transfusion_cli.analysis.networks import Network, load_task
from transfusion_cli.analysis.scores import Metrics, scores_for
from transfusion_cli.analysis.spec import Spec
from transfusion_cli.analysis.style import TITLES, colors, draw_legend, new_axes, new_figure, put_layers
from transfusion_cli.analysis.subject import Batch, Subject
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.errors import UserError
from transfusion_cli.figure import Figure
from transfusion_cli.models.stages import stage_of_tensors
from transfusion_cli.tasks.restore import saved_arguments

log = logging.getLogger(__name__)

TRAINED = "as trained"


class Robustness(Analysis):
    """What re-initialising or re-randomising one stage of a trained network costs."""

    name = "robustness"

    def run(self, bench: Workbench) -> Findings:
        """Replace one stage after the other, by those before training and by others that were drawn."""
        device = bench.options.device
        rows: list[dict[str, Any]] = []
        for network, subject in zip(bench.networks, bench.subjects, strict=True):
            if network.spec.kind == "run":
                donors = {name: donor.to(device) for name, donor in _donors(network, bench.options.seed).items()}
                batches, score = bench.batches(network.name), scores_for(network.task, bench.data)
                found = stage_robustness(subject, donors, batches, score, device)
                rows += [{"network": network.name, **row} for row in found]
        if not rows:
            raise UserError("robustness looks at trained networks.\nName a checkpoint or a run folder.")
        frame = DataFrame(rows)
        auroc = frame[frame["measure"] == "auroc"]
        trained = auroc["stage"] == TRAINED
        whole = ", ".join(f"{row.network} {row.value:.3f}" for row in auroc[trained].itertuples())
        table = auroc[~trained].pivot_table("value", ["network", "replaced_by"], "stage", sort=False)
        table = table.map("{:.3f}".format)
        table.index = [" ".join(names) for names in table.index]
        title = f"AUROC with one stage replaced (as trained: {whole}; chance 0.5)"
        figures = {"stage robustness": robustness_figure(frame, "auroc")}
        return Findings({"robustness": rows}, figures, f"{title}\n{tables.text(table)}")


def stage_robustness(
    subject: Subject,
    donors: Mapping[str, nn.Module],
    batches: Iterable[Batch],
    score: Metrics,
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Metrics after one stage at a time, the classifier included, got the tensors of another network.

    With the network before training as donor this is re-initialisation, with a freshly drawn one re-randomisation
    (Zhang, Bengio & Singer 2019, "Are all layers created equal?"). A stage whose loss costs nothing is not critical.
    Its batch normalisation comes from the donor whole, running statistics included. The network is not changed.

    Args:
        subject: the trained network.
        donors: networks of the same architecture, by what replacing by them is called.
        batches: read once.
        score: the metrics.
        device: where the networks are.

    Returns:
        Rows with stage, replaced_by, measure, value and drop: value as trained minus value.
    """
    members: dict[str, list[str]] = {}
    for name, stage in stage_of_tensors(subject.network).items():
        members.setdefault(stage, []).append(name)

    def without(stage: str, donor: str) -> Callable[[Tensor], Tensor]:
        theirs = donors[donor].state_dict()
        replaced = {name: theirs[name] for name in members[stage]}
        return lambda images: functional_call(subject.network, replaced, (subject.normalise(images),))

    cases = {f"{stage}\n{donor}": (stage, donor) for donor in donors for stage in members}
    variants = {TRAINED: subject.__call__} | {key: without(*case) for key, case in cases.items()}
    logits, targets = predict_all(variants, batches, device)
    whole = score(logits[TRAINED], targets)
    rows = [{"stage": TRAINED, "replaced_by": "", "measure": m, "value": v, "drop": 0.0} for m, v in whole.items()]
    for key, (stage, donor) in cases.items():
        for measure, value in score(logits[key], targets).items():
            common = {"stage": stage, "replaced_by": donor, "measure": measure}
            rows.append({**common, "value": value, "drop": whole[measure] - value})
    return rows


def _donors(network: Network, seed: int) -> dict[str, nn.Module]:
    """Networks to take stages from, as far as the run's strategy left its architecture as it was."""
    spec = network.spec
    assert spec.path is not None
    other = Spec("random", "random", seed=network.task.seed + 1 + seed)  # never the draw it started from
    tasks = {
        "re-initialised": load_task(replace(spec, kind="init"), {}),
        "re-randomised": load_task(other, saved_arguments(spec.path)),
    }
    found = {}
    for name, task in tasks.items():
        if _shapes(task.network) == _shapes(network.task.network):
            found[name] = task.network
        else:
            log.warning("%s: no %s stages, for its strategy changes the architecture.", network.name, name)
    return found


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def robustness_figure(frame: DataFrame, measure: str) -> Figure:
    """What each stage's loss costs, a panel for each network.

    Args:
        frame: rows of ``stage_robustness`` with a column ``network``.
        measure: the metric to draw.
    """
    rows = frame[(frame["measure"] == measure) & (frame["replaced_by"] != "")]
    networks = list(dict.fromkeys(rows["network"]))
    stages = list(dict.fromkeys(rows["stage"]))
    donors = list(dict.fromkeys(rows["replaced_by"]))
    figure = new_figure(max(4.0, 0.75 * len(stages)) * min(3, len(networks)) + 2, 3.4 * -(-len(networks) // 3))
    for position, network in enumerate(networks, start=1):
        grid = (-(-len(networks) // 3), min(3, len(networks)), position)
        axes = new_axes(figure, position=grid, title=network, ylabel=f"Drop in {TITLES.get(measure, measure)}")
        for number, (donor, color) in enumerate(zip(donors, colors(), strict=False)):
            own = rows[(rows["network"] == network) & (rows["replaced_by"] == donor)].set_index("stage")["drop"]
            at = np.arange(len(stages)) + 0.38 * (number - (len(donors) - 1) / 2)
            label = donor if position == 1 else None
            axes.bar(at, own.reindex(stages).fillna(0).to_numpy(), width=0.36, color=color, label=label)
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_ylim(min(0.0, rows["drop"].min()) * 1.05, max(0.02, rows["drop"].max()) * 1.05)
        put_layers(axes, stages, bars=True)
    draw_legend(figure)
    return figure
