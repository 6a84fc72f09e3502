"""What becomes of the similarity of layers: tables and figures."""

import pandas as pd
import pytest

from transfusion_cli.analysis.similarity import matrix_figure, similarity_figure, start_and_end, start_and_end_figure

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
    drawn = lines(similarity_figure(table(), "cca"))
    assert drawn["a × a  (2 pairs)"] == pytest.approx([0.925, 0.825, 0.725])
    assert drawn["a × b  (2 pairs)"] == pytest.approx([0.525, 0.425, 0.325])
    assert "chance" in similarity_figure(table(), "cca").axes[0].get_legend_handles_labels()[1]


def test_chance_levels_that_differ_are_drawn_each():
    drawn = lines(similarity_figure(table((0.1, 0.3)), "cca"))
    assert drawn["chance, a × a"] == pytest.approx([0.1] * 3)
    assert drawn["chance, a × b"] == pytest.approx([0.3] * 3)


def test_an_undefined_score_leaves_a_gap():
    frame = table()
    frame.loc[frame["layer_a"] == "layer1", ["value", "chance"]] = float("nan")
    drawn = lines(similarity_figure(frame, "cca"))
    assert drawn["a × a  (2 pairs)"][0] == pytest.approx(0.925)
    assert drawn["a × a  (2 pairs)"][1] != drawn["a × a  (2 pairs)"][1]


def test_matrix_keeps_the_order_of_the_layers():
    names = ["z", "a", "m"]
    rows = [
        {"network_a": "one", "network_b": "two", "layer_a": x, "layer_b": y, "measure": "cka", "value": i + j / 10}
        for i, x in enumerate(names)
        for j, y in enumerate(names)
    ]
    axes = matrix_figure(pd.DataFrame(rows), "cka").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert axes.images[0].get_array().tolist() == [[i + j / 10 for j in range(3)] for i in range(3)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("two", "one")


def test_start_and_end_puts_each_two_networks_where_they_began_and_ended():
    frame = pd.DataFrame(
        {"layer": ["conv1", "conv1", "layer1"], "pair": ["a × a", "a × b", "a × a"], "start": [0.9, 0.8, 0.4]}
    )
    figure = start_and_end_figure(frame.assign(end=[0.95, 0.7, 0.5]), "cca")
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert points == [(0.9, 0.95), (0.8, 0.7), (0.4, 0.5)]
    assert figure.axes[0].get_legend_handles_labels()[1] == ["conv1", "layer1", "a × a", "a × b"]


def test_trained_networks_are_put_beside_their_starts():
    names = [("a/0", "b/0"), ("init:a/0", "init:b/0"), ("init:a/0", "a/0"), ("a/0", "c/0")]
    rows = [
        {"network_a": a, "network_b": b, "layer_a": layer, "measure": measure, "value": value + shift, "pair": "p"}
        for value, (a, b) in enumerate(names)
        for layer, shift in (("conv1", 0.0), ("layer1", 0.5))
        for measure in ("cca", "cka")
    ]
    points = start_and_end(pd.DataFrame(rows).query("measure == 'cca'"))
    assert points.to_dict("records") == [
        {"layer": "conv1", "pair": "p", "start": 1.0, "end": 0.0},
        {"layer": "layer1", "pair": "p", "start": 1.5, "end": 0.5},
    ]
    assert not len(start_and_end(pd.DataFrame(rows[-4:]).query("measure == 'cca'")))
