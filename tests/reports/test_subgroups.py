"""What is told of groups: each as if it were a test of its own, gaps, and who is left out."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from transfusion_cli.data.subgroups import Subgroup
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.reports.subgroups import tell_subgroups

RNG = np.random.default_rng(0)
N = 240
TRUTH = RNG.random(N) < 0.5
SCORES = 0.4 * TRUTH + 0.6 * RNG.random(N)
PATIENTS = np.arange(N) // 2
SITE = np.where(PATIENTS < 50, "a", np.where(PATIENTS < 100, "b", np.where(PATIENTS < 115, "c", "d")))
WHOLE = ClassificationEvaluation.of(
    "binary",
    ["well", "sick"],
    torch.tensor(SCORES)[:, None],
    torch.tensor(TRUTH, dtype=torch.float32)[:, None],
    PATIENTS,
)


def by_site(known=None):
    known = np.ones(N, dtype=bool) if known is None else known
    members = {name: (name == SITE) & known for name in "abcd"}
    return [Subgroup(f"site={name}", "site", "Site", member, known & ~member) for name, member in members.items()]


def test_each_group_and_its_gap_and_who_is_left_out():
    told = tell_subgroups(WHOLE, by_site())
    for name in "abc":
        side = name == SITE
        area = roc_auc_score(TRUTH[side], SCORES[side])
        assert told.results[f"test[site={name}]/auroc"]["value"] == pytest.approx(area)
        assert told.results[f"test[site={name}]/patients"]["value"] == len(set(PATIENTS[side]))
        rest = roc_auc_score(TRUTH[~side], SCORES[~side])
        assert told.results[f"gap[site={name}]/auroc"]["value"] == pytest.approx(area - rest)
    assert told.results["subgroups"]["left_out"] == {"site=d": "fewer than 10 patients (5)"}
    assert not any("site=d]" in key for key in told.results)
    assert "Left out: site=d, fewer than 10 patients (5)." in told.text
    assert told.results["subgroups"]["columns"] == {"site": "Site"}


def test_p_is_adjusted_over_all_gaps_of_a_metric():
    results = tell_subgroups(WHOLE, by_site()).results
    gaps = [results[f"gap[site={name}]/sensitivity"] for name in "abc"]
    expected = multipletests([gap["p"] for gap in gaps], method="holm")[1]
    assert [gap["p_holm"] for gap in gaps] == pytest.approx(expected)
    assert "p_holm" not in results["test[site=a]/sensitivity"]


def test_of_two_groups_one_gap_and_what_is_not_known_is_in_neither():
    known = np.arange(N) % 40 != 0
    one = (PATIENTS % 3 == 0) & known
    groups = [Subgroup("x=1", "x", "x", one, known & ~one), Subgroup("x=2", "x", "x", known & ~one, one)]
    told = tell_subgroups(WHOLE, groups)
    assert [key for key in told.results if key.startswith("gap[") and key.endswith("/auroc")] == ["gap[x=1]/auroc"]
    area = [roc_auc_score(TRUTH[side], SCORES[side]) for side in (one, known & ~one)]
    assert told.results["gap[x=1]/auroc"]["value"] == pytest.approx(area[0] - area[1])
    assert told.results["subgroups"]["not_known"] == {"x": 6}
    assert "Not known of 6 samples: x." in told.text


def test_nothing_was_asked():
    assert tell_subgroups(WHOLE, []) == ({}, "")


def test_where_all_groups_are_too_small_they_are_named():
    few = WHOLE.take(np.arange(30))
    one = np.arange(30) < 15
    told = tell_subgroups(few, [Subgroup("x=1", "x", "x", one, ~one), Subgroup("x=2", "x", "x", ~one, one)])
    assert "Left out: x=1, fewer than 10 patients (8), x=2, fewer than 10 patients (8)." in told.text
    assert list(told.results) == ["subgroups"]
