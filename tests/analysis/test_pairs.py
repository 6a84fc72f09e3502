"""Layer pairs of several networks over the same batches."""

import math

import pytest
from support.subjects import CountingLoader, hooks, same, state, subject

from transfusion_cli.analysis.measures import MEASURES
from transfusion_cli.analysis.pairs import layer_similarity
from transfusion_cli.analysis.subject import Subject
from transfusion_cli.analysis.taps import POOLED
from transfusion_cli.errors import UserError

LAYERS = ["conv1", "layer1", "layer3"]


def compare(*subjects, layers=None, loader=None, **kwargs):
    layers = layers or {s.name: LAYERS for s in subjects}
    return layer_similarity(subjects, layers, loader or CountingLoader(), **kwargs)


def test_a_network_is_like_itself_by_every_measure():
    twin = subject("b")
    rows = compare(subject("a"), twin, measures=list(MEASURES))
    assert len(rows) == len(LAYERS) * len(MEASURES)
    for row in rows:
        assert row["value"] == pytest.approx(1, abs=1e-6), row
        assert 0 <= row["chance"] < 0.6
        assert row["layer_a"] == row["layer_b"]
    assert {row["n"] for row in rows} == {3 * 8 * 16}
    assert {(row["d_a"], row["d_b"]) for row in rows} == {(16, 16), (64, 64)}


def test_both_networks_run():
    """The second network's own activations count: another network is less alike, and only where it differs."""
    values = {row["layer_a"]: row["value"] for row in compare(subject("a", 0), subject("b", 1), measures=["cka"])}
    assert max(values.values()) < 0.97
    late = subject("c", 0)
    late.network.layer3[0].conv1.weight.data.normal_()
    values = {row["layer_a"]: row["value"] for row in compare(subject("a", 0), late, measures=["cka"])}
    assert values["layer1"] == pytest.approx(1, abs=1e-9) and values["layer3"] < 0.99


def test_batches_are_read_once_and_networks_left_as_they_were():
    subjects = [subject("a", 0), subject("b", 1), subject("c", 2)]
    before = [state(s.network) for s in subjects]
    loader = CountingLoader()
    rows = compare(*subjects, loader=loader)
    assert loader.read == 3
    assert len(rows) == 3 * 3 * 2, "three pairs of networks, three layers, two measures"
    for s, was in zip(subjects, before, strict=True):
        assert same(was, s.network) and hooks(s.network) == 0
        assert not any(module.training for module in s.network.modules())


def test_dead_neurons_give_no_nan():
    a, b = subject("a"), subject("b", 1)
    for s in (a, b):
        s.network.conv1.weight.data[:3] = 0
        s.network.conv1.weight.data[3] = s.network.conv1.weight.data[4]
    for row in compare(a, b, measures=list(MEASURES)):
        assert math.isfinite(row["value"]) and math.isfinite(row["chance"]), row


def test_too_few_points_are_undefined_and_said_so(caplog):
    rows = compare(subject("a"), subject("b", 1), loader=CountingLoader(1), positions=0, measures=["cca", "procrustes"])
    values = {(row["layer_a"], row["measure"]): row["value"] for row in rows}
    assert math.isnan(values["layer3", "cca"]), "8 images and 64 neurons"
    assert math.isfinite(values["layer3", "procrustes"])
    assert "layer3" in caplog.text and "too few" in caplog.text


def test_pooled_maps_are_one_point_an_image():
    rows = compare(subject("a"), subject("b", 1), positions=0, measures=["cka"])
    assert {row["n"] for row in rows} == {24}


def test_all_pairs_pool_where_maps_differ_in_size():
    rows = compare(subject("a"), subject("b", 1), measures=["cka"], all_pairs=True)
    points = {(row["layer_a"], row["layer_b"]): row["n"] for row in rows}
    assert len(points) == 9
    assert points["conv1", "layer1"] == 24 * 16, "both 32 x 32"
    assert points["layer1", "layer3"] == points["layer3", "conv1"] == 24


def test_networks_of_other_architecture():
    wide = subject("wide", backbone="cifar_resnet56")
    rows = compare(subject("a"), wide, layers={"a": ["layer1", POOLED], "wide": ["conv1", POOLED]}, measures=["cka"])
    assert [row["layer_a"] for row in rows] == [POOLED]
    with pytest.raises(UserError, match="--all-pairs"):
        compare(subject("a"), wide, layers={"a": ["layer1"], "wide": ["conv1"]})


def test_each_network_gets_its_own_normalisation():
    """Two networks that differ in what they expect of their input alone."""
    plain = subject("a")
    shifted = Subject("b", plain.network, lambda images: images * 3 - 2)
    values = [row["value"] for row in compare(plain, shifted, layers={"a": ["layer1"], "b": ["layer1"]})]
    assert all(value < 0.999 for value in values)
