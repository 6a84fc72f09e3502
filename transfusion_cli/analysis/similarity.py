"""Similarity of representations, layer by layer, each score beside its chance level."""

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
from pandas import DataFrame

from transfusion_cli.analysis import tables
from transfusion_cli.analysis.base import Analysis, Findings, whole
from transfusion_cli.analysis.measures import MEASURES, TITLES
from transfusion_cli.analysis.pairs import layer_similarity
from transfusion_cli.analysis.style import FONT, colors, draw_legend, new_axes, new_figure, put_layers, styles
from transfusion_cli.analysis.taps import POOLED
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.figure import Figure


class Similarity(Analysis):
    """How alike the layers of each two networks are."""

    name = "similarity"
    networks = 2

    def add_flags(self, add: Callable[..., Any]) -> None:
        """Measures, and what to compare by them."""
        known = ", ".join(MEASURES)
        add("--measures", nargs="+", choices=[*MEASURES], default=["cca", "cka"], metavar="M", help=f"of {known}")
        add("--all-pairs", action="store_true", help="each layer with each, not only layers of the same name")
        drawn = "drawn from each map; 0 takes the mean over the map"
        add("--positions", type=whole, default=16, metavar="K", help=drawn)

    def run(self, bench: Workbench) -> Findings:
        """Compare."""
        options = bench.options
        rows = layer_similarity(
            bench.subjects,
            bench.layers,
            bench.batches(self.name),
            options.measures,
            options.positions,
            options.all_pairs,
            options.seed,
            options.device,
        )
        frame = bench.paired(rows)
        figures: dict[str, Figure] = {}
        lines = [f"Similarity on {options.split}, chance in brackets; a score at chance says that nothing is shared."]
        for measure in options.measures:
            scores, title = frame[frame["measure"] == measure], TITLES.get(measure, measure)
            if options.all_pairs:
                for (a, b), part in scores.groupby(["network_a", "network_b"], sort=False):
                    figures[f"{measure} {a} {b}"] = matrix_figure(part, title)
            same = scores[scores["layer_a"] == scores["layer_b"]]
            if not len(same):
                continue
            lines += ["", title, similarity_table(same)]
            figures[f"{measure} by layer"] = similarity_figure(same, title)
            if len(bench.networks) > 2:
                figures[f"{measure} of the top layers"] = top_layers_figure(top_layers(same), title)
                if len(trained := same[same["before_after"]]):
                    over = "Before and after training"
                    figures[f"{measure} before and after"] = similarity_figure(trained, title, over)
            if len(points := start_and_end(same)):
                figures[f"{measure} at start and end"] = start_and_end_figure(points, title)
        return Findings({"similarity": rows}, figures, "\n".join(lines + few_points(rows)))


def few_points(rows: list[dict[str, Any]]) -> list[str]:
    """A line about the layers with the fewest data points for their neurons, where these are too few for CCA."""
    worst = min(rows, key=lambda row: row["n"] / max(row["d_a"], row["d_b"]))
    if worst["n"] >= 5 * max(worst["d_a"], worst["d_b"]):
        return []
    sizes = f"{worst['n']:,} for {worst['d_a']} and {worst['d_b']} neurons"
    place = f"{worst['layer_a']} and {worst['layer_b']}"
    return [f"\nFew data points: {sizes} of {place}; CCA wants 5 to 10 for each neuron."]


def top_layers(rows: DataFrame) -> DataFrame:
    """The mean of each two networks over the top two stages before the output, as in Raghu et al. 2019, Figure 2."""
    stages = [layer for layer in dict.fromkeys(rows["layer_a"]) if layer != POOLED]
    top = rows[rows["layer_a"].isin(stages[-2:] or [POOLED])]
    return top.groupby(["pair", "network_a", "network_b"], sort=False)[["value", "chance"]].mean().reset_index()


def start_and_end(rows: DataFrame) -> DataFrame:
    """Similarity of two trained networks beside that of their starts, as in Raghu et al. 2019, Figure 4.

    Args:
        rows: of ``layer_similarity`` by one measure, layers of the same name, with ``pair``.

    Returns:
        Columns ``layer``, ``pair``, ``start`` and ``end``, a row for each two networks whose ``init:`` ones are there.
    """
    keys = [frozenset(names) for names in zip(rows["network_a"], rows["network_b"], strict=True)]
    values = {(key, row.layer_a): row.value for key, row in zip(keys, rows.itertuples(), strict=True)}
    points = []
    for key, row in zip(keys, rows.itertuples(), strict=True):
        start = values.get((frozenset(f"init:{name}" for name in key), row.layer_a))
        if start is not None:
            points.append({"layer": row.layer_a, "pair": row.pair, "start": start, "end": row.value})
    return DataFrame(points)


def similarity_table(frame: DataFrame) -> str:
    """What is compared by layers: the mean value, and the chance level in brackets."""
    means = frame.groupby(["pair", "layer_a"], sort=False)[["value", "chance"]].mean()
    texts = [f"{value:.3f} ({chance:.3f})" if value == value else "undefined" for value, chance in means.to_numpy()]
    cells = means.assign(text=texts)["text"].unstack("layer_a")
    order = list(dict.fromkeys(frame["pair"])), list(dict.fromkeys(frame["layer_a"]))
    return tables.text(cells.reindex(index=order[0], columns=order[1]).fillna(""))


def similarity_figure(rows: DataFrame, measure: str, title: str = "") -> Figure:
    """Similarity layer by layer, a line for each two groups of networks, above the chance level.

    Args:
        rows: of ``layer_similarity`` by one measure, layers of the same name, with ``pair``, what is compared.
        measure: what the values are.
        title: of the figure.
    """
    layers = list(dict.fromkeys(rows["layer_a"]))
    figure = new_figure(max(5.0, 1.6 + 0.75 * len(layers)) + 2.4, 3.8)
    axes = new_axes(figure, ylabel=measure, title=title)
    chance = rows.pivot_table("chance", "layer_a", "pair", sort=False).reindex(layers)
    shared = bool((chance.max(axis=1) - chance.min(axis=1) < 1e-3).all())
    if shared:
        axes.fill_between(layers, chance.max(axis=1).clip(lower=0), color="0.88", linewidth=0, label="chance", zorder=0)
    for (pair, part), (color, line) in zip(rows.groupby("pair", sort=False), styles(), strict=False):
        by_layer = part.groupby("layer_a", sort=False)["value"].agg(["mean", "min", "max", "size"]).reindex(layers)
        count = int(by_layer["size"].max())
        label = f"{pair}  ({count} pairs)" if count > 1 else str(pair)
        axes.plot(layers, by_layer["mean"], color=color, linestyle=line, marker="o", markersize=4.5, label=label)
        if count > 1:
            axes.fill_between(layers, by_layer["min"], by_layer["max"], color=color, alpha=0.18, linewidth=0)
        if not shared:
            axes.plot(layers, chance[pair], color=color, linewidth=1, linestyle=":", label=f"chance, {pair}")
    put_layers(axes, layers)
    axes.set_ylim(min(0.0, float(rows["value"].min())) - 0.01, 1.02)
    draw_legend(figure)
    return figure


def top_layers_figure(frame: DataFrame, measure: str) -> Figure:
    """Similarity of the top layers, a dot for each two networks, a violin where there are many.

    Args:
        frame: rows with ``pair``, ``value`` and ``chance``, one for each two networks (see ``top_layers``).
        measure: what the values are.
    """
    groups = list(frame.groupby("pair", sort=False))
    figure = new_figure(1.9 + 1.5 * len(groups), 4)
    axes = new_axes(figure, ylabel=f"{measure} of the top two stages")
    for position, ((_, part), color) in enumerate(zip(groups, colors(), strict=False)):
        values = part["value"].dropna().to_numpy()
        if len(values) >= 4 and np.ptp(values) > 0:
            violin: dict[str, Any] = axes.violinplot(values, [position], widths=0.7, showextrema=False)
            for body in violin["bodies"]:
                body.set(facecolor=color, alpha=0.3, linewidth=0)
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(len(values))
        axes.plot(position + spread, values, "o", color=color, markersize=5, alpha=0.85)
        axes.hlines(part["chance"].mean(), position - 0.35, position + 0.35, color="0.4", linestyles=":")
    axes.plot([], [], color="0.4", linestyle=":", label="chance")
    labels = [str(pair).replace(" × ", "\n× ").replace(" to ", "\nto ") for pair, _ in groups]
    axes.set_xticks(range(len(groups)), labels, fontsize=FONT)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.legend(fontsize=FONT, frameon=False)
    return figure


def start_and_end_figure(frame: DataFrame, measure: str) -> Figure:
    """Similarity of two networks after training against that before it, a dot for each two networks and layer.

    Args:
        frame: rows with ``layer``, ``pair``, ``start`` and ``end``.
        measure: what the values are.
    """
    figure = new_figure(6.4, 4.4)
    axes = new_axes(figure, ylabel=f"{measure} after training")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
    markers = dict(zip(dict.fromkeys(frame["pair"]), cycle("os^Dv"), strict=False))
    for (layer, of_layer), color in zip(frame.groupby("layer", sort=False), colors(), strict=False):
        for pair, part in of_layer.groupby("pair", sort=False):
            axes.plot(part["start"], part["end"], markers[pair], color=color, markersize=5, alpha=0.8)
        axes.plot([], [], "o", color=color, label=layer)
    for pair, marker in markers.items():
        axes.plot([], [], marker, color="0.4", label=pair)
    axes.set_xlabel(f"{measure} before training", fontsize=FONT)
    draw_legend(figure)
    return figure


def matrix_figure(rows: DataFrame, measure: str) -> Figure:
    """Every layer of one network against every layer of another.

    Args:
        rows: of ``layer_similarity`` by one measure for two networks.
        measure: what the values are.
    """
    table = rows.pivot_table("value", "layer_a", "layer_b", sort=False, dropna=False)
    table = table.reindex(index=list(dict.fromkeys(rows["layer_a"])), columns=list(dict.fromkeys(rows["layer_b"])))
    figure = new_figure(2.8 + 0.55 * len(table.columns), 1.8 + 0.42 * len(table))
    axes = figure.add_subplot()
    image = axes.imshow(table.to_numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower")
    figure.colorbar(image, label=measure).outline.set_visible(False)
    axes.set_xticks(range(len(table.columns)), table.columns, rotation=40, ha="right", fontsize=FONT)
    axes.set_yticks(range(len(table)), table.index, fontsize=FONT)
    axes.set(xlabel=rows["network_b"].iloc[0], ylabel=rows["network_a"].iloc[0])
    if table.size <= 144:
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            color = "white" if value > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=FONT - 2, color=color)
    return figure
