"""The whole: from a table to words, files and a figure."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import weightedtau
from support.evidence import drawn, table

from transfusion_cli.errors import Fault, UserError
from transfusion_cli.transferability.evidence.agreement import over_targets
from transfusion_cli.transferability.evidence.by_target import by_target
from transfusion_cli.transferability.evidence.figure import agreement_figure
from transfusion_cli.transferability.evidence.report import report, told
from transfusion_cli.transferability.evidence.static import STATIC
from transfusion_cli.transferability.evidence.table_file import Evidence, read_evidence

TARGETS = tuple(f"t{number}" for number in range(8))
OUTCOMES = drawn(0, targets=TARGETS, steady=0.2)


@pytest.fixture
def path(tmp_path):
    """A table of a score that is as good as the static ranking or less, one of noise, and one with gaps."""
    gaps = drawn(3, targets=TARGETS)
    gaps.loc["t0", ["a", "b", "c"]] = np.nan
    noise = drawn(2, targets=TARGETS, steady=0)
    return table(tmp_path / "own.csv", OUTCOMES, choosing="network", noise=noise, **{"=gaps": gaps})


def row(said, name):
    """The cells of a row."""
    return next(line for line in said.splitlines() if line.startswith(f"{name}  ")).split()


def test_the_text_has_the_numbers_and_says_who_won(path):
    said = report(path)
    static = np.mean([weightedtau(OUTCOMES.drop(index=t).mean(), OUTCOMES.loc[t])[0] for t in TARGETS])
    noise = np.mean([weightedtau(drawn(2, targets=TARGETS, steady=0).loc[t], OUTCOMES.loc[t])[0] for t in TARGETS])
    assert said.startswith("Choosing the network: agreement with fine_tuned_auc, means over targets\n")
    assert row(said, STATIC)[2] == f"{static:.3f}" and row(said, "noise")[1] == f"{noise:.3f}"
    assert row(said, "noise")[-2:] == ["8", "5"] and row(said, "=gaps")[-2:] == ["7", "5"]
    assert "\nNo score beat the static ranking, of 2 scores compared.\n" in said
    assert "\nnoise did " in said and "\nLeft out: =gaps on t0: fewer than 3 sources.\n" in said
    assert "Student's t over targets" in said and "Written" not in said


def test_another_outcome(path, tmp_path):
    other = table(tmp_path / "other.csv", OUTCOMES, outcome="auroc", noise=drawn(2, targets=TARGETS))
    assert report(other, "auroc").startswith("Choosing the source: agreement with auroc")
    with pytest.raises(UserError, match="No outcome 'fine_tuned_auc'"):
        report(other)


def test_files_hold_what_the_text_says_and_overwrite_nothing(path, tmp_path):
    out = tmp_path / "out"
    said = report(path, out=out)
    names = ["agreement.csv", "agreement.json", "agreement.png", "agreement_by_target.csv"]
    assert sorted(one.name for one in out.iterdir()) == names
    assert all(f"Written to {out / name}" in said for name in names)
    summary = pd.read_csv(out / "agreement.csv").set_index(["choosing", "measure", "statistic"])
    assert f"{summary.loc[('network', 'noise', 'weighted_tau'), 'value']:.3f}" == row(said, "noise")[1]
    assert ("network", "'=gaps", "regret") in summary.index  # no formula
    each = pd.read_csv(out / "agreement_by_target.csv")
    assert len(each) == 3 * 8 * 4 and set(each["target"]) == set(TARGETS)
    content = json.loads((out / "agreement.json").read_text())["choosing"]["network"]
    assert content["verdict"][0] in said and content["left_out"] == ["=gaps on t0: fewer than 3 sources"]
    (static,) = [one for one in content["agreement"] if (one["measure"], one["statistic"]) == (STATIC, "tau")]
    assert static["difference"] is None and static["targets"] == 8
    assert (out / "agreement.png").read_bytes().startswith(b"\x89PNG")
    before = (out / "agreement.csv").read_bytes()
    report(path, out=out)
    assert (out / "agreement_1.csv").is_file() and (out / "agreement.csv").read_bytes() == before


def test_a_folder_that_takes_no_files_is_told_before_the_work(path, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault):
        report(tmp_path / "none.csv", out=tmp_path / "file" / "out")


def test_the_figure_draws_every_measure_beside_the_static_ranking(path):
    one = read_evidence(path)["network"]
    found = over_targets(by_target(*one))
    (axes,) = agreement_figure({"network": found}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(dict.fromkeys(found["measure"]))
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "s"]
    assert marks == pytest.approx(found.loc[found["statistic"] == "weighted_tau", "value"].tolist())
    assert len(agreement_figure({"network": found, "data": found}).axes) == 2


def test_one_target_alone_has_values_without_intervals(tmp_path):
    said = report(table(tmp_path / "own.csv", OUTCOMES.iloc[:1], noise=drawn(2, targets=TARGETS[:1])), out=tmp_path)
    assert "95 % interval" not in said.split("\n\n")[1]
    assert "One target alone: no intervals" in said and "no target has both" in said
    assert (tmp_path / "agreement.png").is_file()


def test_scores_and_outcomes_at_hand_beside_a_ranking_of_the_users_own(path):
    size = pd.DataFrame({"source": list("abcde"), "value": range(5)})
    one = read_evidence(path)["network"]
    said = told({"network": Evidence(one.scores, one.outcomes, size)}, "test/auroc")
    tau = np.mean([weightedtau(np.arange(5), OUTCOMES.loc[t])[0] for t in TARGETS])
    assert row(said, STATIC)[2] == f"{tau:.3f}"
    assert "Static ranking: the mean outcome" not in said
