"""Means over targets, beside the static ranking's."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, ttest_1samp, ttest_rel, weightedtau
from statsmodels.stats.multitest import multipletests
from support.evidence import SOURCES, TARGETS, drawn, long

from transfusion_cli.transferability.evidence.agreement import agreement, mean
from transfusion_cli.transferability.evidence.by_target import by_target, left_out
from transfusion_cli.transferability.evidence.static import STATIC

OUTCOMES = drawn(steady=0.2)


def found(*scores, outcomes=OUTCOMES, static=None):
    """The agreement of tables of scores called s0, s1, ..., by measure and statistic."""
    return agreement(pair(*scores), long(outcomes), static).set_index(["measure", "statistic"])


def pair(*scores):
    return pd.concat([long(one, measure=f"s{at}") for at, one in enumerate(scores)])


def taus(scores, outcomes=OUTCOMES):
    """Of each target, by plain calls."""
    return np.array([weightedtau(scores.loc[target], outcomes.loc[target])[0] for target in outcomes.index])


def static_taus(outcomes=OUTCOMES):
    return np.array(
        [weightedtau(outcomes.drop(index=one).mean(), outcomes.loc[one])[0] for one in outcomes.index]  # none missing
    )


def test_means_intervals_and_p_are_of_the_targets():
    scores = [drawn(seed, steady=steady) for seed, steady in ((1, 0.2), (2, 0), (3, -0.2))]
    rows = found(*scores).xs("weighted_tau", level="statistic")
    tests = [ttest_rel(taus(one), static_taus()) for one in scores]
    adjusted = multipletests([test.pvalue for test in tests], method="holm")[1]
    for at, (one, test) in enumerate(zip(scores, tests, strict=True)):
        row, own = rows.loc[f"s{at}"], ttest_1samp(taus(one), 0).confidence_interval(0.95)
        assert row["value"] == pytest.approx(taus(one).mean())
        assert (row["low"], row["high"]) == pytest.approx((max(own.low, -1), min(own.high, 1)))
        gap = test.confidence_interval(0.95)
        assert (row["difference_low"], row["difference_high"]) == pytest.approx((gap.low, gap.high))
        assert row["difference"] == pytest.approx((taus(one) - static_taus()).mean())
        assert (row["p"], row["p_holm"]) == pytest.approx((test.pvalue, adjusted[at]))
        assert (row["targets"], row["compared"], row["fewest"], row["most"]) == (4, 4, 5, 5)
    assert rows.loc[STATIC, "value"] == pytest.approx(static_taus().mean())
    assert np.isnan(rows.loc[STATIC, "difference"]) and rows.loc[STATIC, "compared"] == 0


def test_the_best_come_first():
    rows = found(drawn(2, steady=-1), drawn(3, steady=0), drawn(1)).xs("weighted_tau", level="statistic")
    assert rows["value"].is_monotonic_decreasing
    assert rows.index[-1] == "s0"


def test_other_statistics():
    rows = found(OUTCOMES, -OUTCOMES)
    for statistic in ("weighted_tau", "tau", "pearson"):
        assert rows.loc[("s0", statistic), "value"] == pytest.approx(1)
        assert rows.loc[("s1", statistic), "value"] == pytest.approx(-1)
    assert rows.loc[("s0", "regret"), "value"] == 0
    assert rows.loc[("s1", "regret"), "value"] == pytest.approx((OUTCOMES.max(axis=1) - OUTCOMES.min(axis=1)).mean())


def test_missing_scores_leave_complete_pairs_for_both_rankings():
    scores = drawn(1)
    scores.loc["bones", "e"] = np.nan
    scores.loc["cells", "a"] = -np.inf
    row = found(scores).loc[("s0", "weighted_tau")]
    own, gap = [], []
    for target in TARGETS:
        kept = [s for s in SOURCES if (target, s) not in (("bones", "e"), ("cells", "a"))]
        own.append(weightedtau(scores.loc[target, kept], OUTCOMES.loc[target, kept])[0])
        gap.append(own[-1] - weightedtau(OUTCOMES.drop(index=target).mean()[kept], OUTCOMES.loc[target, kept])[0])
    assert (row["value"], row["difference"]) == pytest.approx((np.mean(own), np.mean(gap)))
    assert (row["fewest"], row["most"], row["targets"]) == (4, 5, 4)


def test_undefined_targets_are_left_out_and_named():
    scores, outcomes = drawn(1), OUTCOMES.copy()
    scores.loc["bones", ["a", "b", "c"]] = np.nan
    scores.loc["cells"] = 1.0
    outcomes.loc["lungs"] = 0.5
    values = by_target(pair(scores, drawn(2)), long(outcomes))
    assert left_out(values) == [
        f"{STATIC}, s0, s1 on lungs: the same outcome of all sources",
        "s0 on bones: fewer than 3 sources",
        "s0 on cells: the same score for all sources",
    ]
    own = values[(values["measure"] == "s0") & (values["target"] != "veins")]
    assert own["value"].isna().all() and own["difference"].isna().all()
    row = found(scores, outcomes=outcomes).loc[("s0", "weighted_tau")]
    assert (row["targets"], row["compared"], row["fewest"]) == (1, 1, 5)
    assert row["value"] == pytest.approx(weightedtau(scores.loc["veins"], outcomes.loc["veins"])[0])
    assert np.isnan(row[["low", "high", "difference_low", "p", "p_holm"]].to_numpy(float)).all()


def test_targets_of_scores_alone_are_said():
    scores = drawn(1, targets=(*TARGETS, "nails"))
    values = by_target(pair(scores), long(OUTCOMES))
    assert f"{STATIC}, s0 on nails: fewer than 3 sources" in left_out(values)


def test_a_static_ranking_of_the_users_own():
    size = pd.DataFrame({"source": SOURCES, "value": [3, 1, 2, 5, 4]})
    row = found(drawn(1), static=size).loc[(STATIC, "weighted_tau")]
    assert row["value"] == pytest.approx(np.mean([weightedtau(size["value"], OUTCOMES.loc[t])[0] for t in TARGETS]))
    rows = found(drawn(1).iloc[:1], outcomes=OUTCOMES.iloc[:1], static=size)
    assert rows.loc[("s0", "weighted_tau"), "compared"] == 1


def test_both_rankings_are_compared_on_the_sources_that_both_have():
    size, scores, kept = pd.DataFrame({"source": SOURCES[:4], "value": [3, 1, 2, 5]}), drawn(1), list(SOURCES[:4])
    row = found(scores, static=size).loc[("s0", "weighted_tau")]
    static = np.array([weightedtau(size["value"], OUTCOMES.loc[target, kept])[0] for target in TARGETS])
    assert row["value"] == pytest.approx(taus(scores).mean())
    assert row["difference"] == pytest.approx((taus(scores[kept], OUTCOMES[kept]) - static).mean())


def test_one_target_alone_has_no_static_ranking_and_no_interval():
    rows = found(drawn(1).iloc[:1], outcomes=OUTCOMES.iloc[:1])
    own, static = rows.loc[("s0", "weighted_tau")], rows.loc[(STATIC, "weighted_tau")]
    assert own["targets"] == 1 and np.isfinite(own["value"]) and np.isnan(own["low"])
    assert static["targets"] == 0 and np.isnan(static["value"])


def test_targets_that_all_say_the_same_have_no_interval():
    same = mean(np.full(6, -0.5))
    assert same.value == -0.5 and np.isnan([same.low, same.high]).all()
    assert same.p == pytest.approx(binomtest(0, 6).pvalue)
    assert mean(np.zeros(6)).p == 1
    found = mean(np.array([0.4, np.nan, 0.6]))
    assert found.targets == 2 and found.value == pytest.approx(0.5)
    assert found.high - found.value == pytest.approx(12.7062 * 0.1, rel=1e-4)


def test_intervals_stay_where_the_statistic_can_be():
    rows = found(drawn(3, steady=0.3).iloc[:2], outcomes=OUTCOMES)
    assert rows["low"].min() >= -1 and rows.xs("regret", level="statistic")["low"].min() >= 0
    assert rows.drop(index="regret", level="statistic")["high"].max() <= 1
