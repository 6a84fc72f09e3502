"""Calibration measured: scikit-learn, scipy and draws as oracles, and the jackknife for intervals."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from support.decided import classes, labels

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.calibration_error import bins_of, calibration_error, chance
from transfusion_cli.metrics.decisions.quality import CHOSEN, MEASURES, Quality
from transfusion_cli.reports.decision_figures import reliability


def parts(evaluation):
    return evaluation.scores[:, 0].numpy(), evaluation.probabilities[:, 0].numpy(), evaluation.targets[:, 0].numpy()


def test_brier_slope_and_intercept():
    evaluation = labels(500)
    logits, p, y = parts(evaluation)
    found = Quality.of(evaluation).metrics
    assert found["brier"] == pytest.approx(brier_score_loss(y, p), rel=1e-9)
    model = LogisticRegression(C=1e12, tol=1e-10).fit(logits[:, None], y)
    assert found["calibration_slope"] == pytest.approx(model.coef_[0, 0], rel=1e-4)
    expected = brentq(lambda shift: (y - 1 / (1 + np.exp(-logits - shift))).sum(), -10, 10)
    assert found["calibration_intercept"] == pytest.approx(expected, rel=1e-6)
    assert list(found) == list(MEASURES)


def test_bins_are_those_of_a_calibration_curve():
    evaluation = labels(450)
    _, p, y = parts(evaluation)
    share, mean = calibration_curve(y, p, n_bins=15, strategy="quantile")
    found_mean, found_share = reliability(torch.tensor(p), torch.tensor(y).double())
    np.testing.assert_allclose(found_mean, mean, atol=0.01)  # a case at an edge may fall on either side
    np.testing.assert_allclose(found_share, share, atol=0.07)
    assert len(found_mean) == 15
    ties = torch.tensor([0.2] * 90 + [0.7] * 90)
    assert [len(ties[bins_of(ties) == one].unique()) for one in bins_of(ties).unique()] == [1, 1]


def test_the_error_is_what_drawing_anew_takes_off():
    """Kumar, Liang & Ma's algorithm: the mean excess over normal draws around the observed shares."""
    evaluation = labels(450, seed=2)
    _, p, y = parts(evaluation)
    p, y = torch.tensor(p), torch.tensor(y).double()
    bins = bins_of(p)
    each = [(p[bins == one].mean(), y[bins == one].mean(), (bins == one).sum()) for one in bins.unique()]
    mean, share, count = (torch.tensor([row[at] for row in each]).double() for at in range(3))
    plain = (count / len(p) * (mean - share).abs()).sum()
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200_000, len(count), generator=generator, dtype=torch.float64)
    drawn = share + noise * (share * (1 - share) / count).sqrt()
    expected = plain - ((count / len(p) * (mean - drawn).abs()).sum(dim=1).mean() - plain)
    ones = torch.ones(len(p), dtype=torch.float64)
    found = calibration_error(p, y, ones, torch.arange(len(p)))
    assert found.item() == pytest.approx(expected.item(), abs=2e-4) and found < plain


def test_perfect_probabilities_are_wrong_by_chance_alone():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        z = rng.normal(0, 2, 500)
        y = rng.random(500) < 1 / (1 + np.exp(-z))
        quality = Quality.of(
            ClassificationEvaluation.of_logits("binary", ["a", "b"], torch.tensor(z)[:, None], torch.tensor(y)[:, None])
        )
        found.append([*quality.intervals()["ece"][:2], *quality.intervals()["calibration_slope"][:2]])
    low, high, slope_low, slope_high = np.array(found).T
    assert (low == 0).mean() > 0.85 and (high < 0.15).all() and (high > 0.01).all()
    assert ((slope_low < 1) & (slope_high > 1)).mean() > 0.75
    wrong = labels(500)
    _, p, y = parts(wrong)
    assert chance(torch.tensor(p), torch.tensor(y).double(), torch.arange(500)) < 1e-6
    assert Quality.of(wrong).intervals()["ece"].low > 0


@pytest.mark.parametrize("each", [1, 4])
def test_variances_are_those_of_leaving_patients_out(each):
    quality = Quality.of(labels(90, each=each, seed=1))
    count = 90 // each
    for kind in ("brier", "calibration_slope", "calibration_intercept"):
        name = f"{kind}/sick"
        without = [
            quality.take(quality.clusters != patient).statistic(torch.ones(90 - each, dtype=torch.float64))[name].item()
            for patient in range(count)
        ]
        jackknife = (count - 1) / count * np.square(np.array(without) - np.mean(without)).sum()
        assert quality.estimates[name].variance == pytest.approx(jackknife, rel=0.15), kind


def test_several_labels_and_unknown_ones():
    evaluation = labels(300, ("a", "b"))
    evaluation.targets[:150, 1] = math.nan
    quality = Quality.of(evaluation)
    p, y = evaluation.probabilities[150:, 1].numpy(), evaluation.targets[150:, 1].numpy()
    assert quality.metrics["brier/b"] == pytest.approx(brier_score_loss(y, p))
    assert quality.metrics["brier"] == pytest.approx((quality.metrics["brier/a"] + quality.metrics["brier/b"]) / 2)
    assert quality.support("brier/b") == {"samples": 150, "positives": int(y.sum())}
    assert set(quality.intervals()) == set(quality.metrics)
    some = quality.take(torch.arange(100))  # b is unknown in all of them
    assert math.isnan(some.metrics["brier/b"]) and some.intervals()["brier/b"].why


def test_of_classes_the_chosen_one_counts_too():
    evaluation = classes()
    quality, known = Quality.of(evaluation), evaluation.targets >= 0
    p = evaluation.probabilities[known]
    right = (p.argmax(dim=1) == evaluation.targets[known]).numpy()
    assert quality.metrics[f"brier/{CHOSEN}"] == pytest.approx(brier_score_loss(right, p.max(dim=1).values.numpy()))
    truth = torch.nn.functional.one_hot(evaluation.targets[known], 3)
    assert quality.metrics["brier"] == pytest.approx((p - truth).square().mean().item())
    assert quality.metrics[f"calibration_slope/{CHOSEN}"] < 0.8


def test_what_is_undefined():
    apart = ClassificationEvaluation.of_logits(
        "binary", ["a", "b"], torch.linspace(-3, 3, 60)[:, None], (torch.arange(60) >= 30).float()[:, None]
    )
    quality = Quality.of(apart)
    assert math.isnan(quality.metrics["calibration_slope"]) and math.isfinite(quality.metrics["calibration_intercept"])
    alike = Quality.of(apart.take(torch.arange(30)))
    assert math.isnan(alike.metrics["calibration_intercept"]) and alike.metrics["brier"] > 0
    assert "positives (0)" in alike.intervals()["brier"].why
    certain = ClassificationEvaluation.of("binary", ["a", "b"], torch.tensor([[0.0], [1.0]] * 30), apart.targets)
    assert math.isfinite(Quality.of(certain).metrics["calibration_intercept"])  # no logits: p of 0 and 1
