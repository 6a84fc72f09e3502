"""The ranking that never sees the target."""

import numpy as np
import pandas as pd
import pytest
from support.evidence import long

from transfusion_cli.transferability.evidence.static import leave_one_target_out


def wide(frame):
    return frame.pivot(index="target", columns="source", values="value")


def test_it_orders_sources_by_their_mean_on_the_other_targets():
    outcomes = pd.DataFrame(np.random.default_rng(0).random((5, 4)), index=list("vwxyz"), columns=list("abcd"))
    found = wide(leave_one_target_out(long(outcomes)))
    for target in outcomes.index:
        plain = outcomes.drop(index=target).mean()
        assert np.array_equal(found.loc[target].rank(), plain.rank())
        assert np.allclose(found.loc[target] - found.loc[target].mean(), plain - plain.mean())


def test_what_the_target_gave_changes_nothing():
    outcomes = pd.DataFrame(np.random.default_rng(1).random((4, 3)), index=list("wxyz"), columns=list("abc"))
    before = wide(leave_one_target_out(long(outcomes))).loc["x"]
    outcomes.loc["x"] = [9.0, 0.0, -9.0]
    assert before.equals(wide(leave_one_target_out(long(outcomes))).loc["x"])


def test_a_source_that_lacks_an_easy_target_does_not_fall_behind():
    outcomes = pd.DataFrame({"a": [np.nan, 0.62, 0.51], "b": [0.99, 0.60, 0.50], "c": [0.98, 0.59, 0.49]}, list("xyz"))
    found = wide(leave_one_target_out(long(outcomes)))
    assert outcomes.drop(index="z").mean().idxmax() == "b"  # by plain means, as x is easy
    assert found.loc["z"].idxmax() == "a"


def test_equal_sources_stay_equal():
    outcomes = pd.DataFrame({"a": [0.7, 0.3, 0.1], "b": [0.7, 0.3, 0.2], "c": [0.6, 0.1, 0.3]}, list("xyz"))
    found = wide(leave_one_target_out(long(outcomes))).loc["z"]
    assert found["a"] == found["b"] > found["c"]


def test_a_source_of_no_other_target_is_not_ranked():
    outcomes = pd.DataFrame({"a": [0.7, 0.3], "b": [0.7, np.nan]}, list("xy"))
    found = leave_one_target_out(long(outcomes))
    assert set(zip(found["source"], found["target"], strict=True)) == {("a", "x"), ("a", "y"), ("b", "y")}
    assert leave_one_target_out(long(outcomes.loc[["x"]])).empty
    assert found["value"].tolist() == pytest.approx([0.0, 0.0, 0.0])
