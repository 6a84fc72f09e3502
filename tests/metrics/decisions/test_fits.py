"""Calibrations against scikit-learn's, and what is left as it is."""

import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from support.decided import classes, fitted_on, labels

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions import fits
from transfusion_cli.metrics.decisions.decisions import logits_of
from transfusion_cli.metrics.decisions.fitting import fit_decisions
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule


def columns(evaluation):
    return logits_of(evaluation)[:, 0], evaluation.questions.truth[:, 0]


def test_platt_is_a_logistic_regression_on_platts_targets():
    logits, truth = columns(labels())
    found = fits.platt(logits, truth)
    high, low = (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2)
    soft = torch.where(truth, high, low).numpy()
    x = np.tile(logits.numpy(), 2)[:, None]  # each case twice, as positive and as negative, by its target
    y, weights = np.repeat([1, 0], len(soft)), np.concatenate([soft, 1 - soft])
    model = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(x, y, sample_weight=weights)
    assert (found.scale, found.shift) == pytest.approx((model.coef_[0, 0], model.intercept_[0]), rel=1e-4)
    assert found.scale == pytest.approx(0.5, abs=0.1) and found.shift == pytest.approx(1, abs=0.3)
    torch.testing.assert_close(found.log_odds(logits.float()), found.scale * logits + found.shift, atol=1e-5, rtol=1e-5)


def test_what_separates_the_cases_has_a_platt_fit():
    truth = torch.arange(40) >= 20
    found = fits.platt(torch.linspace(-60, 60, 40), truth)
    assert 0 < found.scale < 5
    p = found.log_odds(torch.linspace(-60, 60, 40)).sigmoid()
    assert 0.9 < p[-1] < 1 and 0 < p[0] < 0.1


def test_temperature_has_the_least_loss():
    evaluation = classes()
    made = fit_decisions(evaluation, fitted_on())
    scale = made.calibration["a"].scale
    assert {one.scale for one in made.calibration.values()} == {scale} and made.thresholds == {}
    assert scale == pytest.approx(0.4, abs=0.06)
    known = evaluation.targets >= 0
    logits, targets = logits_of(evaluation)[known].numpy(), evaluation.targets[known].numpy()

    def loss(factor):
        p = np.exp(factor * logits)
        return log_loss(targets, p / p.sum(axis=1, keepdims=True))

    steps = np.linspace(0.1, 2, 200)
    assert loss(scale) <= min(map(loss, steps)) + 1e-9
    assert abs(scale - steps[np.argmin([loss(step) for step in steps])]) < 0.02


def test_isotonic_is_scikit_learns_between_platts_targets():
    logits, truth = columns(labels(1500))
    found = fits.isotonic(logits, truth)
    high, low = fits.platt_targets(truth)
    model = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(logits.numpy(), truth.double().numpy())
    asked = torch.linspace(-20, 20, 300, dtype=torch.float64)
    p = found.log_odds(asked).sigmoid()
    np.testing.assert_allclose(p, model.predict(asked.numpy()), atol=1e-12)
    assert (p.diff() >= -1e-15).all() and p.min() > 0 and p.max() < 1


def test_what_is_left_as_it_is_and_why():
    few = labels(60, ("rare", "common"), seed=3)
    few.targets[:, 0] = 0
    few.targets[:9, 0] = 1
    made = fit_decisions(few, fitted_on(), rule=ThresholdRule("youden"))
    assert made.calibration["rare"].why == "too few positives (9)" and "rare" not in made.thresholds
    assert made.calibration["common"].method == "platt" and "common" in made.thresholds
    assert fit_decisions(few, fitted_on(), rule=ThresholdRule("given", 0.3)).thresholds["rare"] == 0.3
    assert "200 positives" in fit_decisions(labels(300), fitted_on(), "isotonic").calibration["sick"].why
    upside_down = labels(300, slope=-0.5)
    assert "does not rise" in fit_decisions(upside_down, fitted_on()).calibration["sick"].why
    right = classes(300, slope=1e6)
    assert "nothing is mistaken" in fit_decisions(right, fitted_on()).calibration["a"].why
    same = labels(40, each=4)
    assert "too few" in fit_decisions(same, fitted_on()).calibration["sick"].why  # ten patients, of either label
    one = labels(300, slope=0.5).of_patients(np.array(["p"] * 300))
    assert one.patients is not None and "(1)" in fit_decisions(one, fitted_on()).calibration["sick"].why


def test_what_does_not_go_together():
    with pytest.raises(UserError, match="one temperature"):
        fit_decisions(classes(), fitted_on(), "platt")
    with pytest.raises(UserError, match="by no threshold"):
        fit_decisions(classes(), fitted_on(), rule=ThresholdRule("youden"))
    ordinal = labels()
    object.__setattr__(ordinal, "target", "ordinal")
    with pytest.raises(UserError, match="ordinal"):
        fit_decisions(ordinal, fitted_on())


def test_temperature_of_a_label():
    made = fit_decisions(labels(shift=0), fitted_on(), "temperature")
    assert made.calibration["sick"].method == "temperature" and made.calibration["sick"].shift == 0
    assert made.calibration["sick"].scale == pytest.approx(0.5, abs=0.1)
