"""Calibration and decisions by group: each measure by its definition, gaps by Holm over labels and groups."""

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, recall_score
from statsmodels.stats.multitest import multipletests
from support.decided import classes, fitted_on, labels

from transfusion_cli.data.subgroups import Subgroup
from transfusion_cli.metrics.decisions.fitting import fit_decisions
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule
from transfusion_cli.reports.subgroup_decisions import tell_subgroup_decisions

N = 400
SITE = np.where(np.arange(N) < 150, "a", np.where(np.arange(N) < 390, "b", "c"))  # c: 5 patients of 2 images


def by_site(sites="abc"):
    return [
        Subgroup(f"site={one}", "site", "Site", one == SITE, np.isin(SITE, list(sites)) & (one != SITE))
        for one in sites
    ]


@pytest.fixture(scope="module")
def made():
    return fit_decisions(labels(800, ("x", "y")), fitted_on(), rule=ThresholdRule("sensitivity", 0.9))


@pytest.fixture(scope="module")
def test_split():
    return labels(N, ("x", "y"), seed=1, each=2)


def test_each_group_by_definition(made, test_split):
    told = tell_subgroup_decisions(test_split, by_site(), made)
    p = made.apply(test_split).probabilities.numpy()
    truth = test_split.targets.numpy()
    for group in "ab":
        side = group == SITE
        for at, name in enumerate("xy"):
            own, y = p[side, at], truth[side, at]
            entry = told.results[f"test[site={group}]/calibrated_brier/{name}"]
            assert entry["value"] == pytest.approx(brier_score_loss(y, own)) and entry["low"] < entry["value"]
            slope = LogisticRegression(C=np.inf, tol=1e-8).fit(np.log(own / (1 - own))[:, None], y).coef_[0, 0]
            found = told.results[f"test[site={group}]/calibrated_calibration_slope/{name}"]
            assert found["value"] == pytest.approx(slope, rel=1e-3) and found["low"] < slope < found["high"]
            called = own > made.thresholds[name]
            for label, kind in ((1, "sensitivity"), (0, "specificity")):
                value = told.results[f"test[site={group}]/{kind}_at_threshold/{name}"]["value"]
                assert value == pytest.approx(recall_score(y, called, pos_label=label))
    called = p[:, 1] > made.thresholds["y"]
    here, rest = (recall_score(truth[side, 1], called[side]) for side in (SITE == "a", SITE != "a"))
    gap = told.results["gap[site=a]/sensitivity_at_threshold/y"]
    assert gap["value"] == pytest.approx(here - rest) and gap["low"] < gap["value"] < gap["high"]
    assert not any("site=c]" in key for key in told.results)  # too few
    json.dumps(told.results, allow_nan=False)


def test_p_is_adjusted_over_groups_and_labels(made, test_split):
    results = tell_subgroup_decisions(test_split, by_site(), made).results
    for metric in ("sensitivity_at_threshold", "calibrated_calibration_intercept"):
        gaps = [results[f"gap[site={group}]/{metric}/{name}"] for group in "ab" for name in "xy"]
        expected = multipletests([gap["p"] for gap in gaps], method="holm")[1]
        assert [gap["p_holm"] for gap in gaps] == pytest.approx(expected)
    assert not any("brier" in key for key in results if key.startswith("gap["))


def test_a_group_that_is_judged_by_wrong_probabilities_is_found(made, test_split):
    """Its scores are shifted: overconfident that all are sick, sensitive, and not specific."""
    shifted = test_split.scores + 3 * torch.tensor(SITE == "a")[:, None]
    wrong = type(test_split).of(
        "multilabel", ["x", "y"], shifted.sigmoid(), test_split.targets, test_split.patients, shifted
    )
    told = tell_subgroup_decisions(wrong, by_site(), made)
    intercept = told.results["gap[site=a]/calibrated_calibration_intercept/x"]
    specificity = told.results["gap[site=a]/specificity_at_threshold/x"]
    assert intercept["high"] < 0 and intercept["p_holm"] < 0.001
    assert specificity["high"] < 0 and specificity["p_holm"] < 0.001
    (row,) = [line for line in told.text.splitlines() if line.startswith("site=a  x ")]
    assert "< 0.001" in row and f"{specificity['value']:+.3f}" in row
    assert "calibrated probabilities" in told.text


def test_without_decisions_the_raw_probabilities_and_no_threshold(test_split):
    told = tell_subgroup_decisions(test_split, by_site(), None)
    side = SITE == "a"
    raw = brier_score_loss(test_split.targets[side, 0].numpy(), test_split.probabilities[side, 0].numpy())
    assert told.results["test[site=a]/brier/x"]["value"] == pytest.approx(raw)
    assert not any("calibrated_" in key or "threshold" in key for key in told.results)
    assert "nothing was calibrated" in told.text and "at threshold" not in told.text


def test_one_label_and_classes():
    one = labels(N, seed=1)
    told = tell_subgroup_decisions(one, by_site(), fit_decisions(labels(), fitted_on()))
    assert (
        "test[site=a]/calibrated_brier" in told.results and "test[site=a]/sensitivity_at_threshold/sick" in told.results
    )
    assert "gap[site=a]/calibrated_calibration_slope" in told.results
    assert all(f"{told.results[f'test[site={s}]/calibrated_brier']['value']:.3f}" in told.text for s in "ab")
    of_classes = tell_subgroup_decisions(classes(N), by_site(), fit_decisions(classes(), fitted_on()))
    assert "test[site=a]/calibrated_brier/chosen class" in of_classes.results
    assert not any("threshold" in key for key in of_classes.results)


def test_many_labels_are_told_where_they_differ():
    names = tuple("abcdef")
    made = fit_decisions(labels(800, names), fitted_on())
    whole = labels(N, names, seed=2)  # in which no other label differs by chance
    shifted = whole.scores + 4 * torch.tensor(SITE == "a")[:, None] * torch.tensor([1, 0, 0, 0, 0, 0])
    wrong = type(whole).of("multilabel", list(names), shifted.sigmoid(), whole.targets, whole.patients, shifted)
    told = tell_subgroup_decisions(wrong, by_site("ab"), made)
    shown = {line.split()[1] for line in told.text.splitlines() if line.startswith("site=")} & {*names}
    assert shown == {"a"} and "5 more labels" in told.text
    assert "test[site=b]/calibrated_brier/f" in told.results


def test_too_few_positives_are_said(made):
    other = labels(N, ("x", "y"), seed=1)
    other.targets[:, 0] = 0
    told = tell_subgroup_decisions(other, by_site("ab"), made)
    (row,) = [line for line in told.text.splitlines() if line.startswith("site=a  x ")]
    assert "too few positives (0)" in row and "undefined" in row
    assert "low" not in told.results["gap[site=a]/sensitivity_at_threshold/x"]


def test_nothing_to_tell(made, test_split):
    assert tell_subgroup_decisions(test_split, [], made) == ({}, "")
    assert tell_subgroup_decisions(test_split, by_site()[2:], made) == ({}, "")
