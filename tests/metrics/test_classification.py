from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from support.predicted import intervals_of, metrics_of, predicted, weighted
from torchmetrics.functional.classification import multilabel_auroc

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.probabilities import decisions, log_odds, probabilities
from transfusion_cli.targets import TARGETS, num_logits

NAN = float("nan")


def test_binary_agrees_with_sklearn() -> None:
    data = predicted("binary")
    ours = metrics_of(*data.arguments)
    known = ~np.isnan(data.targets[:, 0].numpy())
    truth, score = data.targets[known, 0].numpy(), data.probabilities[known, 0].numpy()
    chosen = score > 0.5
    assert ours == pytest.approx(
        {
            "auroc": sk.roc_auc_score(truth, score),
            "average_precision": sk.average_precision_score(truth, score),
            "accuracy": sk.accuracy_score(truth, chosen),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, chosen),
            "f1": sk.f1_score(truth, chosen),
            "sensitivity": sk.recall_score(truth, chosen),
            "specificity": sk.recall_score(truth, chosen, pos_label=0),
            "kappa": sk.cohen_kappa_score(truth, chosen),
        },
        abs=1e-6,
    )


def test_multilabel_agrees_with_sklearn_label_by_label() -> None:
    data = predicted("multilabel")
    ours = metrics_of(*data.arguments)
    by_label: dict[str, list[float]] = {}
    for label in range(4):
        known = ~torch.isnan(data.targets[:, label])
        truth, score = data.targets[known, label].numpy(), data.probabilities[known, label].numpy()
        for name, value in {
            "auroc": sk.roc_auc_score(truth, score),
            "average_precision": sk.average_precision_score(truth, score),
            "accuracy": sk.accuracy_score(truth, score > 0.5),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, score > 0.5),
            "f1": sk.f1_score(truth, score > 0.5),
        }.items():
            by_label.setdefault(name, []).append(value)
    expected = {name: np.mean(values) for name, values in by_label.items()}
    for name in ("auroc", "average_precision"):
        expected |= {f"{name}/class {label}": by_label[name][label] for label in range(4)}
    assert ours == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("target", ["multiclass", "ordinal"])
def test_classes_agree_with_sklearn(target) -> None:
    data = predicted(target)
    ours = metrics_of(*data.arguments)
    known = data.targets >= 0
    truth, scores = data.targets[known].numpy(), data.probabilities[known].numpy()
    chosen = decisions(target, data.probabilities)[known].numpy()
    areas = sk.roc_auc_score(truth, scores, multi_class="ovr", average=None)
    precisions = sk.average_precision_score(np.eye(4)[truth], scores, average=None)
    expected = {
        "auroc": areas.mean(),
        "average_precision": precisions.mean(),
        "accuracy": sk.accuracy_score(truth, chosen),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, chosen),
        "f1": sk.f1_score(truth, chosen, average="macro"),
    }
    expected |= {f"auroc/class {k}": areas[k] for k in range(4)}
    expected |= {f"average_precision/class {k}": precisions[k] for k in range(4)}
    if target == "ordinal":
        expected["kappa"] = sk.cohen_kappa_score(truth, chosen, weights="quadratic")
    assert ours == pytest.approx(expected, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(target=st.sampled_from(TARGETS), seed=st.integers(0, 10_000))
def test_weighted_metrics_agree_with_sklearn(target, seed: int) -> None:
    data = predicted(target, seed=seed)
    of = ClassificationEvaluation.of(*data.arguments)
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(data.targets))
    expected: dict[str, float] = {}
    for name, *columns in zip(of.questions.names, *(column.T for column in of.questions[1:]), strict=True):
        scores, truth, known, chosen = (column.numpy() for column in columns)
        arguments, by = (truth[known], chosen[known]), {"sample_weight": weights[known]}
        each = {
            "auroc": sk.roc_auc_score(truth[known], scores[known], **by),
            "average_precision": sk.average_precision_score(truth[known], scores[known], **by),
            "accuracy": sk.accuracy_score(*arguments, **by),
            "sensitivity": sk.recall_score(*arguments, **by),
            "specificity": sk.recall_score(*arguments, pos_label=0, **by),
            "f1": sk.f1_score(*arguments, **by),
            "kappa": sk.cohen_kappa_score(*arguments, **by),
        }
        expected |= {f"{metric}/{name}": value for metric, value in each.items()}
    if target in ("multiclass", "ordinal"):
        known = (data.targets >= 0).numpy()
        arguments = (data.targets[known], decisions(target, data.probabilities)[known])
        by = {"sample_weight": weights[known]}
        expected["accuracy"] = sk.accuracy_score(*arguments, **by)
        if target == "ordinal":
            expected["kappa"] = sk.cohen_kappa_score(*arguments, weights="quadratic", **by)
    assert weighted(of, torch.tensor(weights)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(target=st.sampled_from(TARGETS), seed=st.integers(0, 10_000), samples=st.integers(2, 30))
def test_weights_equal_repetition_for_every_metric(target, seed: int, samples: int) -> None:
    data = predicted(target, samples=samples, seed=seed)
    times = torch.randint(0, 4, (samples,), generator=torch.Generator().manual_seed(seed))
    rows = torch.arange(samples).repeat_interleave(times)
    of = ClassificationEvaluation.of(*data.arguments)
    repeated = weighted(of.take(rows), torch.ones(len(rows)))
    assert weighted(of, times) == pytest.approx(repeated, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("target", TARGETS)
def test_only_the_proportions_of_weights_matter(target) -> None:
    of = ClassificationEvaluation.of(*predicted(target))
    weights = torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert weighted(of, 7 * weights) == pytest.approx(weighted(of, weights), abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_labels_without_positives_negatives_or_knowledge_are_undefined_and_out_of_the_mean() -> None:
    targets = torch.tensor([[0, 0, 1, NAN], [1, 0, 1, NAN], [1, 0, NAN, NAN], [0, NAN, 1, NAN]])
    scores = torch.tensor([[0.1, 0.6, 0.9, 0.3], [0.8, 0.1, 0.9, 0.3], [0.9, 0.1, 0.9, 0.3], [0.2, 0.1, 0.9, 0.3]])
    ours = metrics_of("multilabel", ["a", "no positive", "no negative", "unknown"], scores, targets)
    for metric in ("auroc", "average_precision"):
        assert ours[metric] == ours[f"{metric}/a"] == 1
        assert all(math.isnan(ours[f"{metric}/{name}"]) for name in ("no positive", "no negative", "unknown"))
    assert ours["accuracy"] == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert ours["balanced_accuracy"] == 1
    assert ours["f1"] == 1  # of "a" and "no negative"; never 0 for want of positives


def test_the_library_would_have_said_zero() -> None:
    """Why undefined classes are taken out beforehand: a perfect classifier, one label without positives."""
    with pytest.warns(UserWarning, match="No positive samples"):
        area = multilabel_auroc(torch.tensor([[0.1, 0.2], [0.9, 0.3]]), torch.tensor([[0, 0], [1, 0]]), num_labels=2)
    assert area == 0.5


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_known_is_all_undefined(target) -> None:
    data = predicted(target, samples=20, unknown=1.1)
    assert all(math.isnan(value) for value in metrics_of(*data.arguments).values())


@pytest.mark.parametrize("target", TARGETS)
def test_no_samples_is_all_undefined(target) -> None:
    _, names, probabilities, targets = predicted(target).arguments
    metrics = metrics_of(target, names, probabilities[:0], targets[:0])
    assert metrics and all(math.isnan(value) for value in metrics.values())


def test_absent_class_leaves_the_others_defined() -> None:
    targets = torch.tensor([0, 0, 1, 1])
    scores = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.2, 0.5], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    ours = metrics_of("multiclass", ["a", "b", "absent"], scores, targets)
    assert math.isnan(ours["auroc/absent"]) and ours["auroc"] == 1
    assert ours["balanced_accuracy"] == 0.75
    assert ours["f1"] == pytest.approx((2 / 3 + 1) / 2)


def test_binary_kappa_by_hand() -> None:
    scores = torch.tensor([[0.9], [0.8], [0.7], [0.2], [0.6], [0.1], [0.1], [0.1], [0.1], [0.1]])
    targets = torch.tensor([[1.0]] * 4 + [[0.0]] * 6)
    # 3 + 5 of 10 agree; by chance 0.4 * 0.4 + 0.6 * 0.6 = 0.52.
    assert metrics_of("binary", ["n", "p"], scores, targets)["kappa"] == pytest.approx(0.28 / 0.48)
    assert metrics_of("binary", ["n", "p"], scores, (scores > 0.5).float())["kappa"] == 1
    assert metrics_of("binary", ["n", "p"], scores * 0, targets)["kappa"] == 0
    assert math.isnan(metrics_of("binary", ["n", "p"], scores * 0, targets * 0)["kappa"])


def test_soft_labels_are_not_known() -> None:
    hard = metrics_of("binary", ["n", "p"], torch.tensor([[0.2], [0.7]]), torch.tensor([[0.0], [1.0]]))
    soft = metrics_of("binary", ["n", "p"], torch.tensor([[0.2], [0.7], [0.1]]), torch.tensor([[0.0], [1.0], [0.7]]))
    assert hard == soft


@pytest.mark.parametrize("target", TARGETS)
def test_a_network_that_diverged_has_no_metrics(target) -> None:
    data = predicted(target)
    data.probabilities[3, 0] = NAN
    assert all(math.isnan(value) for value in metrics_of(*data.arguments).values())


def test_perfect_is_exactly_one() -> None:
    for seed in range(20):
        score = torch.rand(997, 1, generator=torch.Generator().manual_seed(seed))
        assert metrics_of("binary", ["n", "p"], score, (score > 0.3).float())["auroc"] == 1


@pytest.mark.parametrize("target", TARGETS)
def test_ranking_by_log_odds_is_ranking_by_probability(target) -> None:
    data = predicted(target)
    logits = torch.randn(len(data.targets), num_logits(target, len(data.class_names)))
    arguments = (target, data.class_names, probabilities(target, logits), data.targets)
    ours = metrics_of(*arguments, scores=log_odds(target, logits))
    assert ours == pytest.approx(metrics_of(*arguments), abs=1e-12)


def too_sure(target, samples: int = 400) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Class names, targets and logits around 38, where the sigmoid is 1 in float64."""
    draws = torch.Generator().manual_seed(0)
    width = 3 if target == "multilabel" else 1
    truth = torch.randint(0, 2, (samples, width), generator=draws)
    logits = 38 + 3 * truth + 3 * torch.randn(truth.shape, generator=draws)
    names = ["a", "b", "c"] if target == "multilabel" else ["a", "b"]
    if target == "multiclass":
        return names, truth[:, 0], torch.cat([0 * logits, logits], dim=1)
    return names, truth[:, 0] if target == "ordinal" else truth.float(), logits


@pytest.mark.parametrize("target", TARGETS)
def test_a_network_too_sure_for_probabilities_is_ranked_by_its_logits(target) -> None:
    names, targets, logits = too_sure(target)
    p, odds = probabilities(target, logits), log_odds(target, logits)
    ours = metrics_of(target, names, p, targets, scores=odds)
    expected = sk.roc_auc_score(targets, logits[:, -1] if target == "multiclass" else logits)
    assert ours["auroc"] == pytest.approx(expected, abs=1e-12)
    assert metrics_of(target, names, p, targets)["auroc"] < expected - 0.02
    # So does what follows from weights.
    low, high, *_ = intervals_of(target, names, p, targets, scores=odds)["auroc"]
    assert low < ours["auroc"] < high < ours["auroc"] + 0.06


@pytest.mark.parametrize(("target", "shape"), [("binary", (5,)), ("multilabel", (5, 2)), ("multiclass", (5, 1))])
def test_shapes_at_odds(target, shape) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        metrics_of(target, ["a", "b", "c"][: 2 if target == "binary" else 3], torch.rand(5, 3), torch.zeros(shape))


@pytest.mark.parametrize("target", TARGETS)
def test_columns_make_the_evaluation_again(target) -> None:
    data = predicted(target)
    first = ClassificationEvaluation.of(*data.arguments)
    columns = first.columns() | first.truth()
    texts = {
        name: np.array(["" if value != value else str(value) for value in column.tolist()], dtype=object)
        for name, column in columns.items()
    }
    again = ClassificationEvaluation.of_table(texts | {"exam": texts["p_class 1"]}, first.metrics)
    assert again is not None and again.target == target and again.metrics == first.metrics
    assert {name: str(column.tolist()) for name, column in again.truth().items()} == {
        name: str(column.tolist()) for name, column in first.truth().items()
    }
    assert ClassificationEvaluation.of_table({"dice": texts.popitem()[1]}, first.metrics) is None
