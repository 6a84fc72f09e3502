"""Figures of the analysis: what they draw, from small tables."""

import pandas as pd
import pytest
import torch

from transfusion_cli.reports import analysis_figures as figures

LAYERS = ["conv1", "layer1", "layer2"]


def table(chances=(0.1, 0.1)):
    rows = []
    for (pair, chance), value in zip(zip(("a × a", "a × b"), chances, strict=True), (0.9, 0.5), strict=True):
        for number, layer in enumerate(LAYERS):
            for repeat in (0.0, 0.05):
                common = {"network_a": "a/0", "network_b": f"b/{repeat}", "layer_a": layer, "layer_b": layer}
                values = {"measure": "cca", "value": value - 0.1 * number + repeat, "chance": chance}
                rows.append({**common, "pair": pair, **values})
    return pd.DataFrame(rows)


def lines(figure):
    return {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}


def test_similarity_draws_means_and_the_chance_level():
    drawn = lines(figures.similarity_figure(table(), "cca"))
    assert drawn["a × a  (2 pairs)"] == pytest.approx([0.925, 0.825, 0.725])
    assert drawn["a × b  (2 pairs)"] == pytest.approx([0.525, 0.425, 0.325])
    assert "chance" in figures.similarity_figure(table(), "cca").axes[0].get_legend_handles_labels()[1]


def test_chance_levels_that_differ_are_drawn_each():
    drawn = lines(figures.similarity_figure(table((0.1, 0.3)), "cca"))
    assert drawn["chance, a × a"] == pytest.approx([0.1] * 3)
    assert drawn["chance, a × b"] == pytest.approx([0.3] * 3)


def test_an_undefined_score_leaves_a_gap():
    frame = table()
    frame.loc[frame["layer_a"] == "layer1", ["value", "chance"]] = float("nan")
    drawn = lines(figures.similarity_figure(frame, "cca"))
    assert drawn["a × a  (2 pairs)"][0] == pytest.approx(0.925)
    assert drawn["a × a  (2 pairs)"][1] != drawn["a × a  (2 pairs)"][1]


def test_mosaic_has_every_image_in_its_place():
    images = torch.linspace(0, 0.9, 5).view(5, 1, 1).expand(5, 7, 7)
    sheet = figures.mosaic(images, 3)
    assert sheet.shape == (2 * 14 + 2, 3 * 14 + 2 * 2), "enlarged twice, lines of two pixels"
    assert sheet[0, 0] == images[0, 0, 0] and sheet[16, 16] == images[4, 0, 0]
    assert sheet[16, 32] == 1 and sheet[14, 0] == 1, "free places and lines are white"


def test_matrix_keeps_the_order_of_the_layers():
    names = ["z", "a", "m"]
    rows = [
        {"network_a": "one", "network_b": "two", "layer_a": x, "layer_b": y, "measure": "cka", "value": i + j / 10}
        for i, x in enumerate(names)
        for j, y in enumerate(names)
    ]
    axes = figures.matrix_figure(pd.DataFrame(rows), "cka").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert axes.images[0].get_array().tolist() == [[i + j / 10 for j in range(3)] for i in range(3)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("two", "one")


def test_start_and_end_puts_each_two_networks_where_they_began_and_ended():
    frame = pd.DataFrame(
        {"layer": ["conv1", "conv1", "layer1"], "pair": ["a × a", "a × b", "a × a"], "start": [0.9, 0.8, 0.4]}
    )
    figure = figures.start_and_end_figure(frame.assign(end=[0.95, 0.7, 0.5]), "cca")
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert points == [(0.9, 0.95), (0.8, 0.7), (0.4, 0.5)]
    assert figure.axes[0].get_legend_handles_labels()[1] == ["conv1", "layer1", "a × a", "a × b"]
