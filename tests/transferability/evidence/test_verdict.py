"""What may be said of a score."""

import math

import pandas as pd
import pytest
from support.evidence import drawn, long

from transfusion_cli.transferability.evidence.agreement import agreement
from transfusion_cli.transferability.evidence.verdict import sentence, verdict

NAN = math.nan


@pytest.mark.parametrize(
    ("gap", "low", "high", "p", "compared", "said"),
    [
        (0.2, 0.1, 0.3, 0.01, 9, "LogME beat the static ranking: +0.200 weighted tau (+0.100 to +0.300) on 9 targets"),
        (-0.2, -0.3, -0.1, 0.01, 9, "LogME did worse than the static ranking: -0.200 weighted tau (-0.300 to -0.100)"),
        (0.2, 0.1, 0.3, 0.06, 9, "LogME did not beat the static ranking: +0.200 weighted tau (+0.100 to +0.300)"),
        (-0.2, -0.5, 0.1, 0.4, 9, "on 9 targets, p (Holm) 0.4."),
        (0.2, NAN, NAN, NAN, 1, "not shown to beat the static ranking: +0.200 weighted tau on one target alone says"),
        (0.2, NAN, NAN, 0.5, 2, "did not beat the static ranking: +0.200 weighted tau (the same on each) on 2 targets"),
        (NAN, NAN, NAN, NAN, 0, "LogME cannot be compared with the static ranking: no target has both."),
    ],
)
def test_sentences(gap, low, high, p, compared, said):
    names = ("measure", "difference", "difference_low", "difference_high", "p_holm", "compared")
    assert said in sentence(dict(zip(names, ("LogME", gap, low, high, p, compared), strict=True)))


def evidence(*scores, steady):
    """What is said of scores of ten targets, when sources are as steady as that over targets."""
    targets = [f"t{number}" for number in range(10)]
    outcomes = drawn(0, targets=targets, steady=steady)
    tables = {"good": outcomes + 0.001, "bad": -outcomes, "noise": drawn(5, targets=targets, steady=0)}
    return verdict(agreement(pd.concat([long(tables[name], measure=name) for name in scores]), long(outcomes)))


def test_a_score_that_knows_the_outcomes_beats_a_ranking_that_does_not():
    headline, *sentences = evidence("good", "noise", steady=0)
    assert headline == "good beat the static ranking, of 2 scores compared."
    assert sentences[0].startswith("good beat") and sentences[1].startswith("noise did not beat")


def test_where_sources_are_alike_on_all_targets_no_score_does():
    headline, *sentences = evidence("bad", "noise", steady=0.3)
    assert headline == "No score beat the static ranking, of 2 scores compared."
    assert all("did worse than" in one for one in sentences)


def test_nothing_is_claimed_of_one_target():
    outcomes = drawn(0).iloc[:1]
    said = verdict(agreement(long(outcomes, measure="good"), long(outcomes)))
    assert said[0].startswith("Nothing shows whether a score beats") and "no target has both" in said[1]


def test_the_more_scores_are_tried_the_more_it_takes():
    targets = [f"t{number}" for number in range(6)]
    outcomes = drawn(0, targets=targets, steady=0)
    lucky = long(outcomes + drawn(2, targets=targets, steady=0), measure="lucky")
    others = [long(drawn(seed, targets=targets, steady=0), measure=f"s{seed}") for seed in range(10, 20)]
    assert verdict(agreement(lucky, long(outcomes)))[0].startswith("lucky beat")
    assert verdict(agreement(pd.concat([lucky, *others]), long(outcomes)))[0].startswith("No score beat")
