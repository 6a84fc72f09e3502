"""The parts of ``transfusion analyze``: each gives tables, figures and words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from transfusion_cli.analysis.barrier import barrier_height, interpolate
from transfusion_cli.analysis.filters import chance_likeness, gabor_likeness, grey_filters, stretched
from transfusion_cli.analysis.knn import collect_features, neighbour_metrics
from transfusion_cli.analysis.measures.effective_rank import effective_rank, weight_matrices
from transfusion_cli.analysis.pairs import layer_similarity
from transfusion_cli.analysis.robustness import TRAINED, stage_robustness
from transfusion_cli.analysis.taps import POOLED
from transfusion_cli.analysis.weights import movement, stage_of_tensors
from transfusion_cli.cli.bench import Bench, Findings
from transfusion_cli.cli.networks import Spec, before_training, load_task, saved_arguments
from transfusion_cli.errors import UserError
from transfusion_cli.reports import analysis_figures as figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

log = logging.getLogger(__name__)

RE_INITIALISED, RE_RANDOMISED = "re-initialised", "re-randomised"


def similarity(bench: Bench) -> Findings:
    """Layer by layer, with the chance level."""
    options = bench.options
    rows = layer_similarity(
        bench.subjects,
        bench.layers,
        bench.batches("similarity"),
        options.measures,
        options.positions,
        options.all_pairs,
        options.seed,
        options.device,
    )
    frame = _frame(rows)
    frame["pair"] = [bench.pair_of(a, b) for a, b in zip(frame["network_a"], frame["network_b"], strict=True)]
    same = frame[frame["layer_a"] == frame["layer_b"]]
    drawn: dict[str, Figure] = {}
    lines = [f"Similarity on {options.split}, chance in brackets; a score at chance says that nothing is shared."]
    for measure in options.measures:
        if options.all_pairs:
            for (a, b), part in frame.groupby(["network_a", "network_b"], sort=False):
                drawn[f"{measure} {a} {b}"] = figures.matrix_figure(part, measure)
        if len(same):
            drawn[f"{measure} by layer"] = figures.similarity_figure(same, measure)
            lines += ["", figures.TITLES[measure], similarity_table(same[same["measure"] == measure])]
            if len(bench.networks) > 2:
                drawn[f"{measure} of the top layers"] = figures.top_layers_figure(top_layers(same, measure), measure)
    before_after = same[[bench.is_before_and_after(*p) for p in zip(same["network_a"], same["network_b"], strict=True)]]
    if len(before_after) and len(bench.networks) > 2:
        for measure in options.measures:
            title = "Before and after training"
            drawn[f"{measure} before and after"] = figures.similarity_figure(before_after, measure, title)
    for measure in options.measures:
        if len(points := start_and_end(same, measure)):
            drawn[f"{measure} at start and end"] = figures.start_and_end_figure(points, measure)
    worst = min(rows, key=lambda row: row["n"] / max(row["d_a"], row["d_b"]))
    if worst["n"] < 5 * max(worst["d_a"], worst["d_b"]):
        sizes = f"{worst['n']:,} for {worst['d_a']} and {worst['d_b']} neurons"
        place = f"{worst['layer_a']} and {worst['layer_b']}"
        lines.append(f"\nFew data points: {sizes} of {place}; CCA wants 5 to 10 for each neuron.")
    return Findings({"similarity": rows}, drawn, "\n".join(lines))


def top_layers(frame: DataFrame, measure: str) -> DataFrame:
    """The mean of each two networks over the top two stages before the output, as in Raghu et al. 2019, Figure 2."""
    rows = frame[frame["measure"] == measure]
    stages = [layer for layer in dict.fromkeys(rows["layer_a"]) if layer != POOLED]
    top = rows[rows["layer_a"].isin(stages[-2:] or [POOLED])]
    return top.groupby(["pair", "network_a", "network_b"], sort=False)[["value", "chance"]].mean().reset_index()


def start_and_end(frame: DataFrame, measure: str) -> DataFrame:
    """Similarity of two trained networks beside that of their starts, as in Raghu et al. 2019, Figure 4.

    Args:
        frame: rows of ``layer_similarity``, layers of the same name, with ``pair``.
        measure: which of them.

    Returns:
        Columns ``layer``, ``pair``, ``start`` and ``end``, a row for each two networks whose ``init:`` ones are there.
    """
    rows = frame[frame["measure"] == measure]
    keys = [frozenset(names) for names in zip(rows["network_a"], rows["network_b"], strict=True)]
    values = {(key, row.layer_a): row.value for key, row in zip(keys, rows.itertuples(), strict=True)}
    points = []
    for key, row in zip(keys, rows.itertuples(), strict=True):
        start = values.get((frozenset(f"init:{name}" for name in key), row.layer_a))
        if start is not None:
            points.append({"layer": row.layer_a, "pair": row.pair, "start": start, "end": row.value})
    return _frame(points)


def similarity_table(frame: DataFrame) -> str:
    """What is compared by layers: the mean value, and the chance level in brackets."""
    means = frame.groupby(["pair", "layer_a"], sort=False)[["value", "chance"]].mean()
    texts = [f"{value:.3f} ({chance:.3f})" if value == value else "undefined" for value, chance in means.to_numpy()]
    cells = means.assign(text=texts)["text"].unstack("layer_a")
    order = list(dict.fromkeys(frame["pair"])), list(dict.fromkeys(frame["layer_a"]))
    return _text(cells.reindex(index=order[0], columns=order[1]).fillna(""))


def weights(bench: Bench) -> Findings:
    """Movement of tensors and stages, and effective ranks."""
    rows: list[dict[str, Any]] = []
    for a, b in combinations(bench.networks, 2):
        names = {"network_a": a.name, "network_b": b.name}
        rows += [{**names, **row} for row in movement(a.task.network, b.task.network)]
    ranks = []
    for network in bench.networks:
        stage_of = stage_of_tensors(network.task.network)
        for name, matrix in weight_matrices(network.task.network).items():
            values = {"effective_rank": effective_rank(matrix), "full_rank": min(matrix.shape)}
            ranks.append({"network": network.name, "stage": stage_of[name], "tensor": name, **values})
    ranked = _frame(ranks)
    group = {network.name: network.spec.group for network in bench.networks}
    drawn = {"effective rank": figures.rank_figure(ranked.assign(group=ranked["network"].map(group)))}
    share = (ranked["effective_rank"] / ranked["full_rank"]).groupby(ranked["network"], sort=False).mean()
    lines = ["Effective rank of weight matrices, mean share of full rank"]
    lines += [f"  {name:<24} {value:.3f}" for name, value in share.items()]
    if rows:
        frame = _frame(rows)
        frame["pair"] = [bench.pair_of(*p) for p in zip(frame["network_a"], frame["network_b"], strict=True)]
        moved = frame[[bench.is_before_and_after(*p) for p in zip(frame["network_a"], frame["network_b"], strict=True)]]
        drawn["movement by stage"] = figures.movement_figure(moved if len(moved) else frame)
        part = frame[(frame["level"] == "stage") & (frame["role"] == "weight") & (frame["measure"] == "relative_l2")]
        table = part.pivot_table("value", "pair", "stage", sort=False).map("{:.3f}".format)
        lines = ["Relative L2 distance of weights by stage", _text(table), "", *lines]
    return Findings({"weights": rows, "effective_rank": ranks}, drawn, "\n".join(lines))


def filters(bench: Bench) -> Findings:
    """First-layer filters, and how much they are like Gabor's."""
    rows, grids, captions = [], {}, {}
    lines = ["First-layer filters: best cosine with a Gabor filter, mean over filters (chance: white noise)"]
    for network in bench.networks:
        bank = grey_filters(network.task.network)
        likeness, chance = gabor_likeness(bank), chance_likeness(*bank.shape[1:])
        grids[network.name] = stretched(bank)
        captions[network.name] = f"Gabor {likeness.mean():.2f} (chance {chance:.2f})"
        lines.append(f"  {network.name:<24} {likeness.mean():.3f} ({chance:.3f})")
        names = {"network": network.name}
        rows += [{**names, "filter": i, "gabor": v, "chance": chance} for i, v in enumerate(likeness.tolist())]
    drawn = {"first-layer filters": figures.filters_figure(grids, captions)}
    return Findings({"filters": rows}, drawn, "\n".join(lines))


def barrier(bench: Bench) -> Findings:
    """The loss along the line between each two networks of one architecture."""
    options = bench.options
    size = bench.data.batch_size
    statistics = (
        [b["image"] for b in bench.batches("statistics", "train", options.reestimate * size)]
        if (options.reestimate)
        else []
    )
    rows: list[dict[str, Any]] = []
    heights: dict[str, float] = {}
    lines = ["Loss barrier: the greatest excess of the loss over the line between its ends"]
    subject = {s.name: s for s in bench.subjects}
    for a, b in combinations(bench.networks, 2):
        score = bench.scores_for(a.task)
        pair = f"{a.name} to {b.name}"
        try:
            along = interpolate(
                subject[a.name],
                subject[b.name],
                bench.batches(pair),
                score,
                options.points,
                statistics,
                options.device,
            )
        except UserError as error:
            log.warning("%s", error)
            continue
        losses = [row["value"] for row in along if row["measure"] == "loss"]
        alphas = [row["alpha"] for row in along if row["measure"] == "loss"]
        heights[pair] = barrier_height(alphas, losses)
        lines.append(f"  {pair:<40} {heights[pair]:.4f}   (ends {losses[0]:.4f} and {losses[-1]:.4f})")
        common = {"network_a": a.name, "network_b": b.name}
        rows += [{**common, "pair": pair, **row, "loss_barrier": heights[pair]} for row in along]
    if not rows:
        raise UserError("No two of these networks have the same tensors: there is no line between them.")
    drawn = {"loss barrier": figures.barrier_figure(_frame(rows), heights)}
    return Findings({"barrier": rows}, drawn, "\n".join(lines))


def robustness(bench: Bench) -> Findings:
    """What re-initialising or re-randomising one stage costs."""
    options = bench.options
    rows: list[dict[str, Any]] = []
    for network, subject in zip(bench.networks, bench.subjects, strict=True):
        if network.spec.kind != "run":
            continue
        before = before_training(network.spec)
        assert network.spec.path is not None
        other = Spec("random", "random", seed=network.task.seed + 1 + options.seed)  # never the draw it started from
        drawn = load_task(other, saved_arguments(network.spec.path))
        donors = {RE_INITIALISED: before, RE_RANDOMISED: drawn}
        shapes = {name: t.shape for name, t in network.task.network.state_dict().items()}
        fitting = {}
        for name, task in donors.items():
            if {key: t.shape for key, t in task.network.state_dict().items()} == shapes:
                fitting[name] = task.to(options.device).network
            else:
                log.warning("%s: no %s stages, for its strategy changes the architecture.", network.name, name)
        found = stage_robustness(
            subject, fitting, bench.batches(network.name), bench.scores_for(network.task), options.device
        )
        rows += [{"network": network.name, **row} for row in found]
    if not rows:
        raise UserError("robustness looks at trained networks.\nName a checkpoint or a run folder.")
    frame = _frame(rows)
    auroc = frame[(frame["measure"] == "auroc")]
    table = (
        auroc[auroc["stage"] != TRAINED]
        .pivot_table("value", ["network", "replaced_by"], "stage", sort=False)
        .map("{:.3f}".format)
    )
    table.index = [f"{network} {donor}" for network, donor in table.index]
    whole = ", ".join(f"{r['network']} {r['value']:.3f}" for _, r in auroc[auroc["stage"] == TRAINED].iterrows())
    lines = [f"AUROC with one stage replaced (as trained: {whole}; chance 0.5)", _text(table)]
    drawn_figures = {"stage robustness": figures.robustness_figure(frame, "auroc")}
    return Findings({"robustness": rows}, drawn_figures, "\n".join(lines))


def knn(bench: Bench) -> Findings:
    """What nearest neighbours among training images read off each layer."""
    options, data = bench.options, bench.data
    reference, queries = (
        collect_features(bench.subjects, bench.layers, batches, options.device)
        for batches in (bench.batches("reference", "train", options.reference), bench.batches("queries"))
    )
    rows = neighbour_metrics(reference, queries, data.target, data.class_names, options.neighbours)
    frame = _frame(rows)
    group = {network.name: network.spec.group for network in bench.networks}
    frame["group"] = frame["network"].map(group)
    drawn, lines = {}, []
    for measure in ("accuracy", "auroc"):
        part = frame[frame["measure"] == measure]
        chance = part["chance"].mean()
        drawn[f"nearest neighbours {measure}"] = figures.neighbours_figure(frame, measure)
        table = part.pivot_table("value", "network", "layer", sort=False).map("{:.3f}".format)
        title = f"{figures.TITLES[measure]} of {options.neighbours} nearest neighbours (chance {chance:.3f})"
        lines += [title, _text(table), ""]
    return Findings({"knn": rows}, drawn, "\n".join(lines[:-1]))


class Analysis(NamedTuple):
    """One of ``--what``.

    Args:
        run: makes the findings.
        networks: how many it takes at least.
    """

    run: Callable[[Bench], Findings]
    networks: int


ANALYSES = {
    "similarity": Analysis(similarity, 2),
    "weights": Analysis(weights, 1),
    "filters": Analysis(filters, 1),
    "barrier": Analysis(barrier, 2),
    "robustness": Analysis(robustness, 1),
    "knn": Analysis(knn, 1),
}


def _frame(rows: Sequence[dict[str, Any]]) -> DataFrame:
    from pandas import DataFrame

    return DataFrame(rows)


def _text(table: DataFrame) -> str:
    table.index.name = table.columns.name = None
    table.index = [f"{name}  " for name in table.index]
    return "\n".join(f"  {line}" for line in table.to_string().splitlines())
