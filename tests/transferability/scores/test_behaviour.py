"""What every score does with images that are few, odd or broken."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scored import sampled

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.scores import SCORES
from transfusion_cli.transferability.scores.base import scores
from transfusion_cli.transferability.scores.ncti import NCTI
from transfusion_cli.transferability.scores.sample import Sample

ALL = scores()
BASELINES = ("knn", "linear_probe")
BY_CHANCE = ("nleep", "linear_probe")
"""Scores that draw where to begin, or folds: by position."""

TURNED = [name for name in SCORES if name not in ("gbc", "knn", *BY_CHANCE)]
"""Scores that rotations do not change; GBC's Gaussians lie along the axes, and neighbours' angles have an origin."""


def values(name, sample):
    return ALL[name].terms(sample)


def changed(sample, features):
    return Sample(features, sample.labels, sample.source, sample.groups)


each = pytest.mark.parametrize("name", SCORES)


def test_every_score_says_what_it_is():
    assert list(ALL) == list(SCORES)
    for name, score in ALL.items():
        assert score.name == name and score.title and score.paper and score.higher_is_better
    assert [name for name, score in ALL.items() if score.needs_source] == ["leep", "nce"]
    assert len({score.title for score in ALL.values()}) == len(SCORES)


@each
def test_better_told_apart_scores_higher(name):
    """Averaged over draws, and with heads that tell the classes apart as well as the features do."""
    totals = []
    for apart in (0.2, 0.8, 3.0):
        rows = []
        for seed in range(4):
            sample = sampled(n=120, apart=apart, seed=seed)
            noise = torch.randn(120, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            rows.append(values(name, replace(sample, source=(noise + 2 * apart * sample.answers).softmax(dim=1))))
        totals.append(torch.tensor(rows).mean(dim=0))
    if name == "ncti":
        assert ALL[name].combine([tuple(row.tolist()) for row in totals])[2] > 0
        totals = [row[1:2] for row in totals]
    assert totals[0][0] < totals[1][0] < totals[2][0]


@each
def test_fewer_images_than_features(name):
    found = values(name, sampled(n=24, dimensions=50))
    assert all(map(math.isfinite, found))
    assert found == pytest.approx(values(name, sampled(n=24, dimensions=50)))


@each
def test_a_class_of_one_image(name):
    sample = sampled(n=40)
    labels = (sample.labels == 0).long()
    labels[5] = 2
    for images in (40, 12):
        one = Sample(sample.features[:images], labels[:images], sample.source[:images], sample.groups[:images])
        assert all(map(math.isfinite, values(name, one)))


@each
def test_features_that_do_not_vary_add_nothing(name):
    """But for where their number counts: in the mean variance of a shrinkage, a sphere, or a scale."""
    sample = sampled()
    for constant in (0.0, 1.0):
        wider = changed(sample, torch.cat([sample.features, torch.full((60, 2), constant)], dim=1))
        found = values(name, wider)
        assert all(map(math.isfinite, found))
        if name not in ("hscore_shrinkage", "sfda", "linear_probe") and not (constant and name in ("logme", "knn")):
            assert found == pytest.approx(values(name, sample), abs=1e-6)


@each
def test_equal_images(name):
    sample = sampled()
    features = sample.features.clone()
    features[3], features[7] = features[0], features[1]
    assert all(map(math.isfinite, values(name, changed(sample, features))))
    assert all(map(math.isfinite, values(name, changed(sample, (features > 1).double()))))


@each
def test_half_and_single_precision_count_as_double(name):
    sample = sampled()
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        features, source = sample.features.to(kind), sample.source.to(kind)
        less = Sample(features, sample.labels, source, sample.groups)
        assert less.features.dtype == less.source.dtype == torch.float64
        same = Sample(features.double(), sample.labels, source.double(), sample.groups)
        assert values(name, less) == values(name, same)


@each
def test_nothing_that_is_given_changes(name):
    sample = sampled()
    given = [part.clone() for part in (sample.features, sample.labels, sample.source, sample.groups)]
    first = values(name, sample)
    assert all(map(torch.equal, given, (sample.features, sample.labels, sample.source, sample.groups)))
    assert values(name, sample) == first


@each
def test_equal_within_classes(name):
    """As after a perfect collapse."""
    sample = sampled()
    collapsed = changed(sample, sample.means(sample.features)[sample.labels])
    if name == "ncti":
        with pytest.raises(UserError, match="All images of a class have the same features"):
            values(name, collapsed)
    else:
        assert all(map(math.isfinite, values(name, collapsed)))


@pytest.mark.parametrize(("wrong", "many"), [(math.nan, 1), (math.inf, 2), (-math.inf, 3)])
def test_features_must_be_finite(wrong, many):
    sample = sampled()
    features = sample.features.float()
    features[:many, 1] = wrong
    with pytest.raises(UserError, match=f"{many} of 60 images have features that are NaN or infinite"):
        changed(sample, features)
    with pytest.raises(UserError, match="probabilities of the source's classes that are NaN"):
        Sample(sample.features, sample.labels, features)


def test_there_must_be_something_to_tell_apart():
    sample = sampled()
    with pytest.raises(UserError, match="All 60 images to score with are of one class"):
        Sample(sample.features, torch.zeros(60, dtype=torch.int64))
    with pytest.raises(UserError, match="one image of each of the 60 classes"):
        Sample(sample.features, torch.arange(60))


@pytest.mark.parametrize("value", [0.0, 0.3, 1e6])
def test_a_dead_network(value):
    sample = sampled()
    with pytest.raises(UserError, match="All 60 images have the same features"):
        changed(sample, torch.full((60, 6), value))
    barely = torch.full((60, 6), value)
    barely[0, 0] += 0.1
    assert all(math.isfinite(value) for name in SCORES for value in values(name, changed(sample, barely)))


def test_logits_are_no_probabilities():
    sample = sampled()
    with pytest.raises(ValueError, match="is it logits"):
        replace(sample, source=sample.source.log())


@settings(max_examples=8)
@given(st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_the_scale_of_features_matters_to_some(scale, seed):
    sample = sampled(seed=seed)
    for name in SCORES:
        if name not in ("logme", "transrate", "gbc", "sfda", "ncti"):
            found = values(name, changed(sample, scale * sample.features))
            assert found == pytest.approx(values(name, sample), rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_need_two_patients_a_class(name):
    sample = sampled()
    with pytest.raises(UserError, match="are all of one patient"):
        values(name, Sample(sample.features, sample.labels, groups=sample.labels))
    labels = torch.where(sample.groups == 0, 1, 0)  # of two classes, one is of one patient
    assert math.isfinite(values(name, Sample(sample.features, labels, groups=sample.groups))[0])


@settings(max_examples=8)
@given(st.sampled_from([(40, 6, 3), (20, 30, 2), (60, 12, 4)]), st.integers(0, 1000))
def test_order_of_images_and_names_of_classes_do_not_matter(shape, seed):
    sample = sampled(*shape, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    rows, renamed = torch.randperm(shape[0], generator=generator), torch.randperm(shape[2], generator=generator)
    other = Sample(sample.features[rows], renamed[sample.labels][rows], sample.source[rows], sample.groups[rows])
    for name in SCORES:
        if name not in BY_CHANCE:
            assert values(name, other) == pytest.approx(values(name, sample), rel=1e-6, abs=1e-6), name


@settings(max_examples=8)
@given(st.sampled_from([(40, 6, 3), (20, 30, 2), (60, 12, 4)]), st.integers(0, 1000))
def test_rotations_do_not_matter(shape, seed):
    sample = sampled(*shape, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(shape[1], shape[1], generator=generator, dtype=torch.float64))[0]
    other = changed(sample, sample.features @ rotation)
    for name in TURNED:
        assert values(name, other) == pytest.approx(values(name, sample), rel=1e-6, abs=1e-6), name
        if name != "logme":
            assert values(name, changed(sample, other.features + 3)) == pytest.approx(
                values(name, sample), rel=1e-6, abs=1e-6
            ), name


def test_a_set_of_candidates():
    """NCTI's terms are scaled over the set; of any other score each candidate has its own."""
    terms = [(1.0, 0.2, 3.0), (3.0, 0.4, 2.0), (2.0, 0.3, 2.5)]
    assert NCTI().combine(terms) == pytest.approx([-1.0, 2.0, 0.5])
    assert NCTI().combine([(1.0, 0.2, 3.0), (1.0, 0.4, 3.0)]) == [0.0, 1.0]
    assert NCTI()(sampled()) == 0
    assert ALL["logme"].combine([(1.0,), (2.0,)]) == [1.0, 2.0]


def test_labels_share_what_features_alone_say():
    sample = sampled()
    other = sample.relabelled((sample.labels == 0).long())
    assert other.centred[0] is sample.centred[0] and other.raw[0] is sample.raw[0]
    fresh = Sample(sample.features, other.labels, sample.source, sample.groups)
    assert ALL["logme"](other) == ALL["logme"](fresh)
