"""Targets of every kind become samples."""

import math

import pytest
import torch
from support.scored import sampled

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.scores.base import scores
from transfusion_cli.transferability.scores.labels import View
from transfusion_cli.transferability.scores.sample import Sample

ALL = scores()
NAN = math.nan


def view(target, targets, classes, n=None, source=True):
    drawn = sampled(n or len(targets))
    names = ["a", "b", "c", "d", "e"][:classes]
    return View(target, names, targets, drawn.features, drawn.source if source else None, drawn.groups)


def test_binary():
    """An unknown label, and one made soft for training, are left out."""
    labels = sampled().labels.clamp(max=1)
    targets = labels[:, None].float()
    assert ALL["logme"].terms(view("binary", targets, 2).samples[""]) == view("binary", targets, 2).terms(ALL["logme"])
    targets[4], targets[9] = NAN, 0.4
    made = view("binary", targets, 2)
    kept = [row for row in range(60) if row not in (4, 9)]
    sample = made.samples[""]
    assert list(made.samples) == [""] and made.left_out == []
    assert torch.equal(sample.labels, labels[kept]) and torch.equal(sample.features, made.features[kept])
    assert torch.equal(sample.source, made.source[kept]) and torch.equal(sample.groups, made.groups[kept])


@pytest.mark.parametrize("target", ["multiclass", "ordinal"])
def test_classes(target):
    """Unknown ones are left out, and a class without an image has no number."""
    targets = sampled().labels * 2  # of five classes 0, 2 and 4
    targets[:3] = -1
    made = view(target, targets, 5)
    assert made.left_out == ["b", "d"]
    assert torch.equal(made.samples[""].labels, targets[3:] // 2) and made.samples[""].classes == 3


def test_labels():
    """Each of the images where it is known; those without both answers are named; the score is the mean."""
    drawn = sampled()
    targets = torch.stack([drawn.labels == 0, drawn.labels == 1, drawn.labels == 9, drawn.labels >= 0], dim=1).float()
    targets[:30, 0] = NAN
    made = view("multilabel", targets, 4)
    assert list(made.samples) == ["a", "b"] and made.left_out == ["c", "d"]
    one = Sample(drawn.features[30:], (drawn.labels[30:] == 0).long(), drawn.source[30:], drawn.groups[30:])
    two = Sample(drawn.features, (drawn.labels == 1).long(), drawn.source, drawn.groups)
    for score in ALL.values():
        terms = [score.terms(one), score.terms(two)]
        assert made.terms(score) == pytest.approx([sum(pair) / 2 for pair in zip(*terms, strict=True)])


def test_labels_known_of_the_same_images_share_one_decomposition():
    targets = torch.stack([sampled().labels == 0, sampled().labels == 1, sampled().labels == 2], dim=1).float()
    targets[0, 2] = NAN
    made = view("multilabel", targets, 3).samples
    assert made["a"].centred[0] is made["b"].centred[0] and made["c"].centred[0].shape[0] == 59


@pytest.mark.parametrize("target", ["mask", "regions"])
def test_masks_are_refused_by_name(target):
    with pytest.raises(UserError, match=f"the targets of these data are {target}"):
        view(target, torch.zeros(60, 4, 4), 2)


def test_nothing_to_tell_apart():
    with pytest.raises(UserError, match="None of the images has a known class"):
        _ = view("multiclass", torch.full((60,), -1), 3).samples
    with pytest.raises(UserError, match="are of one class"):
        _ = view("binary", torch.ones(60, 1), 2).samples
    with pytest.raises(UserError, match="None of a, b is seen both present and absent"):
        _ = view("multilabel", torch.tensor([[0.0, 1.0]]).repeat(60, 1), 2).samples


def test_a_candidate_without_a_head():
    made = view("multiclass", sampled().labels, 3, source=False)
    for name in ("leep", "nce"):
        with pytest.raises(UserError, match=f"{ALL[name].title} looks at what the network says of the classes"):
            made.terms(ALL[name])
    assert made.terms(ALL["parc"]) == ALL["parc"].terms(made.samples[""])


def test_some_images_alone():
    drawn = sampled()
    rows = torch.arange(0, 60, 2)
    part = view("multiclass", drawn.labels, 3).take(rows)
    assert torch.equal(part.samples[""].features, drawn.features[rows])
    assert torch.equal(part.groups, drawn.groups[rows]) and torch.equal(part.source, drawn.source[rows])
    bare = View("multiclass", ["a", "b", "c"], drawn.labels, drawn.features).take(rows)
    assert bare.source is None and bare.groups is None and len(bare.targets) == 30
