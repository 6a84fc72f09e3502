"""Contrast between the classes."""

import copy

import pytest
import torch
from support.regularised import a_batch, built, check_whole_life, refused, term

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import BiTuning


def unit(vector):
    return vector / (vector**2).sum().sqrt()


def reference(task, slow, keys, batch, temperature):
    """The term, image by image."""
    network, total = task.network, 0.0
    count = len(batch["image"])
    features = network.forward_head(network.forward_features(batch["image"]), pre_logits=True)
    theirs = slow.forward_head(slow.forward_features(batch["image"]), pre_logits=True)
    one = torch.ones(1, dtype=torch.float64)
    for image in range(count):
        label = batch["target"][image].item()
        if label != label or label < 0:
            continue
        label = int(label)
        head = network.fc
        if len(head.weight) == 1:
            row = unit(torch.cat([head.weight[0], head.bias])) * (1 if label else -1)
        else:
            row = unit(torch.cat([head.weight[label], head.bias[label : label + 1]]))
        z, own_z = unit(network.projector(features[image])), unit(slow.projector(theirs[image]))
        h = unit(torch.cat([features[image], one]))
        for own, query, kind in ((z @ own_z, z, "projections"), (h @ row.detach(), row.detach(), "features")):
            good = [own, *(query @ key for key in keys[kind][label])]
            bad = [query @ key for other, some in enumerate(keys[kind]) if other != label for key in some]
            whole = torch.stack([*good, *bad]).div(temperature).exp().sum()
            share = torch.tensor(1 / len(good), dtype=torch.float64)
            for value in good:
                total = total + share * (share.log() - ((value / temperature).exp() / whole).log()) / count
    return total


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_the_term_is_that_of_the_paper(kind, tmp_path):
    strategy = BiTuning(weight=0.8, keys=3, momentum=0.9, temperature=0.2, width=5)
    task = built(tmp_path, strategy, kind=kind)
    slow = copy.deepcopy(task.network).eval()
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    batch = a_batch(task)
    for step in range(2):
        with torch.no_grad():
            for kept, parameter in zip(slow.parameters(), task.network.parameters(), strict=True):
                kept.copy_(0.9 * kept + 0.1 * parameter)
        keys = {name: strategy._kept[name].clone() for name in ("projections", "features")}
        found = term(task, batch)
        for kept, buffer in zip(slow.buffers(), task.network.buffers(), strict=True):
            kept.copy_(buffer)
        expected = 0.8 * reference(task, slow, keys, batch, 0.2)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9, msg=lambda text, n=step: f"step {n}: {text}")
    if len(task.network.fc.weight) > 1:  # no gradient to the classifier: only the features turn
        assert torch.autograd.grad(found, task.network.fc.weight, allow_unused=True, retain_graph=True)[0] is None
    assert torch.autograd.grad(found, task.network.projector.weight, retain_graph=True)[0].abs().sum() > 0
    assert torch.autograd.grad(found, task.network.conv1.weight)[0].abs().sum() > 0


def test_the_oldest_keys_make_room():
    strategy = BiTuning(keys=3)
    strategy._kept = {
        "features": torch.zeros(2, 3, 1),
        "projections": torch.zeros(2, 3, 1),
        "next": torch.zeros(2, dtype=torch.int64),
    }
    for values, classes in (([1, 2, 3], [0, 1, 0]), ([4, 5, 6], [0, 0, -1]), ([7, 8, 9, 10], [1, 1, 1, 1])):
        rows = torch.tensor(values, dtype=torch.float32)[:, None]
        strategy._keep(rows, rows, torch.tensor(classes))
    assert strategy._kept["features"][0].flatten().tolist() == [5, 3, 4]
    assert strategy._kept["features"][1].flatten().tolist() == [9, 10, 8]
    assert strategy._kept["next"].tolist() == [1, 2]


def test_whole_life(tmp_path):
    check_whole_life(tmp_path, lambda: BiTuning(keys=4))


def test_what_has_no_one_class_is_refused(tmp_path):
    refused(tmp_path, BiTuning(), "these targets are multilabel", kind="multilabel")
    with pytest.raises(UserError, match="one key"):
        BiTuning(keys=0)
