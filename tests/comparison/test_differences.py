"""Differences of groups of runs, from their folders on."""

import csv
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import t
from support.commands import mistake, transfusion
from support.processes import COMMAND, Process
from support.screen import screen

from transfusion_cli.comparison.tested import read_tested
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.results import build_results
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import RunFolder

CASES = 240
RNG = np.random.default_rng(0)
TRUTH = RNG.random(CASES // 2).repeat(2) < 0.4
HARD = RNG.standard_normal(CASES)
PATIENTS = [f"p{case // 2}" for case in range(CASES)]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_run(name, seed=0, better=1.5, noise=0.5, rows=slice(None), patients=True, target="binary", **changes):
    """A run that was tested, its predictions in an order of their own."""
    folder = RunFolder(f"lightning_logs/{name}/version_{seed}")
    folder.path.mkdir(parents=True)
    rng = np.random.default_rng([seed, *name.encode()])
    order = rng.permutation(np.arange(CASES)[rows])
    scores = (better * TRUTH + HARD + noise * rng.standard_normal(CASES))[order]
    p, truth = torch.tensor(1 / (1 + np.exp(-scores)))[:, None], torch.tensor(TRUTH[order].astype(float))[:, None]
    own = [PATIENTS[case] for case in order] if patients else None
    evaluation = ClassificationEvaluation.of("binary", ["no", "=yes"], p, truth, own)
    results = build_results(evaluation) | {"provenance": {"own_split": True}}
    folder.results.write_text(json.dumps(results))
    with open(folder.test_predictions, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "patient", "p_=yes", "label_=yes"])
        for at, case in enumerate(order):
            writer.writerow([f"image {case:03}", own[at] if own else "", repr(p[at].item()), truth[at].item()])
    config = {"seed_everything": seed, "name": name, "model": {"transfer": name}, **changes}
    folder.newest_config.write_text(yaml.safe_dump(config))
    return folder


def compared(words, capsys):
    groups = transfusion(f"compare {words}")
    return groups, capsys.readouterr().out


def test_predictions_come_back_as_the_evaluation_that_was_tested():
    folder = a_run("a")
    tested = read_tested(record := RunRecord.read(folder))
    assert tested.evaluation.metrics["auroc"] == pytest.approx(record.test("auroc"), abs=1e-12)
    assert [f"p{int(case) // 2}" for case in range(CASES)] == tested.evaluation.patients.tolist()
    assert tested.test == read_tested(RunRecord.read(a_run("a", seed=1))).test


def test_one_run_each_is_the_paired_test_of_the_networks(capsys):
    a_run("good"), a_run("bad", better=0.3)
    _, out = compared("good bad", capsys)
    first, second = (read_tested(RunRecord.read(RunFolder(f"lightning_logs/{n}/version_0"))) for n in ("good", "bad"))
    one, other = (tested.evaluation.estimates["auroc"] for tested in (first, second))
    gap = one.spread - other.spread
    error = float((gap[:2].square().sum() + 2 * (gap[2] * gap[3]).sum()).sqrt())
    margin = error * t.ppf(0.975, one.fewest[0] - 1)
    value = one.value - other.value
    assert f"{value:+.4f}" in out and f"{value - margin:+.4f} to {value + margin:+.4f}" in out
    assert "good is better than bad by" in out and "on the same 120 patients" in out
    assert "Of these networks alone: for what other seeds would give, train 3 or more of each." in out
    assert "Holm) is adjusted" not in out


def test_seeds_make_recipes_and_pairs_are_found_whatever_the_order(capsys):
    for seed in (3, 1, 2):
        a_run("a", seed=seed, noise=0.1), a_run("b", seed=4 - seed, noise=0.1)
        a_run("c", seed=seed + 5, better=-1, noise=0.1)
    _, out = compared("a b c", capsys)
    assert "Other patients and other seeds are accounted for." in out  # a and c, b and c are not paired
    assert "p (Holm) is adjusted for the 3 comparisons" in out
    assert "a is better than c by" in out and "b is better than c by" in out, out
    _, out = compared("a b", capsys)
    assert "accounted for, seed by seed." in out


def test_against_one_alone(capsys):
    for name in "abc":
        a_run(name)
    _, out = compared("a b c --against b", capsys)
    rows = [line.split()[:2] for line in out.splitlines() if line[:1] in "abc" and "%" in line]
    assert rows == [["a", "b"], ["c", "b"]]
    said = mistake("compare a b c --against d", capsys)
    assert "--against d: no group is called that." in said and "Choose from: a, b, c" in said


def test_within_the_margin(capsys):
    a_run("a", noise=0), a_run("b", noise=1e-9)
    _, out = compared("a b", capsys)
    assert "are within 0.01 of each other: 0.000 (" in out
    a_run("c", noise=0.1)
    _, out = compared("a c --margin 0", capsys)
    assert "are not shown to differ" in out
    assert "A margin is 0 or more, not -1" in mistake("compare a b --margin -1", capsys)


def test_other_patients_stand_side_by_side(capsys):
    a_run("a"), a_run("b"), a_run("c", rows=slice(0, 200))
    _, out = compared("a b c", capsys)
    assert "Not compared: c, which was tested on other images or labels than a" in out, out
    assert sum("%" in line for line in out.splitlines() if line[:1] in "ab") == 1
    a_run("c", seed=1)
    _, out = compared("a c", capsys)
    assert "Not compared: c, whose runs were tested on different images (all seeds need one --data.split_seed)" in out


def test_what_is_missing_or_changed_is_said_with_what_to_type(capsys):
    folders = [a_run(name) for name in "abcd"]
    folders[1].test_predictions.unlink()
    folders[2].test_predictions.write_text("id,p_x\nimage,0.5\n")
    results = json.loads(folders[3].results.read_text())
    folders[3].results.write_text(json.dumps(results | {"test/auroc": {"value": 0.5}}))
    _, out = compared("a b c d", capsys)
    assert (
        "b, whose version_0 has no predictions_test.csv beside its results: transfusion test lightning_logs/b/" in out
    )
    assert (
        "c, whose version_0 predictions_test.csv is not as the run wrote it (columns that no kind of task predicts"
        in out
    )
    assert "d, whose version_0 predictions_test.csv and its results are of different tests: transfusion test" in out
    for folder in folders:
        folder.results.unlink()
    _, out = compared("a b c d", capsys)
    assert "Not compared: no run was tested (transfusion test RUN)" in out and out.count("Not compared") == 1


def test_a_second_test_of_the_run_counts_with_its_own_predictions(capsys):
    folder = a_run("a")
    good = folder.results.read_text(), folder.test_predictions.read_text()
    (folder.path / "results_1.json").write_text(good[0])
    (folder.path / "predictions_test_1.csv").write_text(good[1])
    folder.test_predictions.write_text("")
    assert not isinstance(read_tested(RunRecord.read(folder)), str)


def test_images_where_no_patients_are_known(capsys):
    a_run("a", patients=False), a_run("b", patients=False)
    assert "on the same 240 images (no patients known)" in compared("a b", capsys)[1]


def test_too_few_positives(capsys):
    rows = np.concatenate([np.flatnonzero(TRUTH)[:8], np.flatnonzero(~TRUTH)[:40]])
    a_run("a", rows=rows), a_run("b", rows=rows)
    _, out = compared("a b", capsys)
    assert "too few positives (4)" in out and "a and b: too few positives (4) to tell." in out


def test_files(home, capsys):
    a_run("a"), a_run("b", better=0.3)
    _, out = compared("a b --out x.csv --figures figures", capsys)
    with open("x_differences.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["first"], row["second"], row["metric"], row["recipes"]) == ("a", "b", "auroc", "False")
    assert float(row["low"]) < float(row["value"]) < float(row["high"]) and row["sentence"].startswith("a is better")
    drawn = sorted(path.name for path in (home / "figures").iterdir())
    assert drawn == ["differences.png", "precision_recall.png", "roc.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (home / "figures").iterdir())
    before = (home / "figures" / "roc.png").read_bytes()
    _, out = compared("a b --out x.csv --figures figures", capsys)
    assert "x_1_differences.csv" in out or "x_differences_1.csv" in out
    assert (home / "figures" / "roc_1.png").is_file() and (home / "figures" / "roc.png").read_bytes() == before


def test_places_that_take_no_files_are_told_before_the_work(home, capsys):
    a_run("a"), a_run("b", better=0.3)
    (home / "file").write_text("mine")
    assert mistake("compare a b --out .", capsys) == "--out . is a folder.\nTry --out compare.csv\n"
    for flag in ("--figures file", "--out file/x.csv"):
        with pytest.raises(SystemExit) as stop:
            transfusion(f"compare a b {flag}")
        said = capsys.readouterr()
        assert stop.value.code == 1 and "Could not write file" in said.err and said.out == ""
    assert (home / "file").read_text() == "mine"


def test_what_predictions_do_not_tell(capsys):
    for name in "ab":
        folder = a_run(name)
        results = json.loads(folder.results.read_text())
        folder.results.write_text(json.dumps(results | {"test/loss": {"value": 0.5}}))
    assert "whose predictions say nothing of loss (try --metric auroc)" in compared("a b --metric loss", capsys)[1]
    said = mistake("compare a b --metric nothing", capsys)
    assert "auroc" in said and "samples" not in said and "patients" not in said


@pytest.mark.slow
def test_the_installed_command(home):
    a_run("a"), a_run("b", better=0.3)
    words = ["compare", "a", "b", "--against", "b", "--figures", "drawn"]
    lines = screen(Process(home, *words, terminal=True).end())
    assert any("a is better than b by" in line for line in lines)
    assert lines[-1] == "Drawn: drawn/differences.png drawn/roc.png drawn/precision_recall.png"
    command = f"{sys.executable} {COMMAND} compare a b | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGPIPE, "", "")


def test_nothing_to_draw(capsys):
    a_run("a"), a_run("b", rows=slice(0, 100))
    assert "Drawn" not in compared("a b --figures figures", capsys)[1]
    rows = np.append(np.flatnonzero(TRUTH)[:8], np.flatnonzero(~TRUTH)[:40])
    a_run("c", rows=rows), a_run("d", rows=rows)
    assert "Drawn: figures/roc.png figures/precision_recall.png" in compared("c d --figures figures", capsys)[1]
    a_run("e", rows=rows[:8]), a_run("f", rows=rows[:8])
    assert "Not compared: e, whose test leaves auroc undefined" in compared("e f --figures figures", capsys)[1]
    assert "one group of runs alone" in mistake("compare a --figures figures", capsys)
