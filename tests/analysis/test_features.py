"""Features of several networks."""

import torch
from support.subjects import CountingLoader, hooks, subject

from transfusion_cli.analysis.features import collect_features


def test_features_of_several_networks_in_one_pass():
    loader, subjects = CountingLoader(2), [subject("a"), subject("b", 1)]
    found = collect_features(subjects, {"a": ["layer1"], "b": ["layer1", "pooled"]}, loader)
    assert loader.read == 2
    assert {key: tuple(x.shape) for key, x in found.layers.items()} == {
        ("a", "layer1"): (16, 16),
        ("b", "layer1"): (16, 16),
        ("b", "pooled"): (16, 64),
    }
    assert not torch.equal(found.layers["a", "layer1"], found.layers["b", "layer1"])
    assert found.index.tolist() == list(range(16))
    assert all(hooks(s.network) == 0 for s in subjects)
