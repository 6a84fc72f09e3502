"""``transfusion compare``, on run folders written by hand and on runs that were run."""

import csv
import json
import sys
import warnings

import pytest
import yaml
from scipy import stats
from support.commands import mistake, transfusion, write_configs


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_run(folder, seed=0, step=None, budget=1000, transfer="FullFineTuning", val=(0.5, 0.9, 0.8), test=0.85, **changes):
    """A run folder such as ``fit`` leaves."""
    folder.mkdir(parents=True)
    config = {
        "seed_everything": seed,
        "name": folder.parent.name,
        "checkpoint": {"monitor": "val/auroc", "mode": "max"},
        "data": {"class_path": "x.Data", "init_args": {"batch_size": 8, "seed": seed}},
        "model": {"class_path": "x.Task", "init_args": {"transfer": {"class_path": f"x.{transfer}"}, "seed": seed}},
        **changes,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    target = {"metric": "val/auroc", "value": 0.8, "mode": "max", "reached": step is not None, "step": step}
    (folder / "steps_to_target.json").write_text(json.dumps({**target, "budget": budget}))
    rows = "".join(f"{step},,{score}\n{step},0.1,\n" for step, score in enumerate(val))
    (folder / "metrics.csv").write_text(f"step,train/loss,val/auroc\n{rows}")
    results = {"test/auroc": {"value": test}, "val/auroc": {"value": 0.7}, "provenance": {"own_split": True}}
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def cells(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_one_row_for_runs_that_differ_in_the_seed_alone(home, capsys):
    logs = home / "lightning_logs"
    for seed, (step, val, test) in enumerate([(100, 0.90, 0.80), (200, 0.92, 0.82), (300, 0.94, 0.90)]):
        a_run(logs / "full" / f"version_{seed}", seed, step, val=[0.5, val, 0.6], test=test)
        a_run(logs / "head" / f"version_{seed}", seed, step=None, transfer="HeadOnly", budget=1000 - seed)
    full, head = transfusion("compare full head")
    assert [len(group.runs) for group in (full, head)] == [3, 3]
    assert full.differs == {"model.transfer": "x.FullFineTuning"} and head.differs == {"model.transfer": "x.HeadOnly"}

    steps = full.measures["steps to val/auroc ≥ 0.8"]
    low, high = stats.t.interval(0.95, 2, loc=200, scale=stats.sem([100, 200, 300]))
    assert (steps.mean, steps.sd, steps.reached, steps.runs) == (pytest.approx(200), 100, 3, 3)
    assert (steps.low, steps.high) == pytest.approx((max(0, low), high))
    assert full.measures["best val/auroc"][1:4] == pytest.approx((3, 0.92, 0.02))
    assert full.measures["test/auroc"][1:4] == pytest.approx((3, 0.84, 0.052915), abs=1e-6)
    never = head.measures["steps to val/auroc ≥ 0.8"]
    assert (never.mean, never.reached, never.budget) == (1000, 0, 1000)

    title, _, first, second, *_ = capsys.readouterr().out.splitlines()
    assert cells(title) == ["run", "differs in", "runs", "steps to val/auroc ≥ 0.8", "best val/auroc", "test/auroc"]
    assert cells(first)[:2] == ["full (version_0, version_1, version_2)", "model.transfer=FullFineTuning"]
    assert cells(first)[3:] == ["200 (0 to 448), 3/3", "0.9200 ± 0.0200", "0.8400 ± 0.0529"]
    assert cells(second)[3] == "> 1,000, 0/3"


def test_groups_share_the_budget_that_all_of_them_can_tell_about(home):
    logs = home / "lightning_logs"
    a_run(logs / "a" / "version_0", 1, step=900, batch=1)
    a_run(logs / "a" / "version_1", 2, step=100, batch=1)
    a_run(logs / "b" / "version_0", 1, step=None, budget=400)
    a, b = transfusion("compare a b")
    assert [g.measures["steps to val/auroc ≥ 0.8"][-1] for g in (a, b)] == [400, 400]
    steps = a.measures["steps to val/auroc ≥ 0.8"]
    assert (steps.mean, steps.reached, steps.runs) == (250, 1, 2)
    (alone,) = transfusion("compare a")
    assert alone.measures["steps to val/auroc ≥ 0.8"].mean == 500


def test_a_run_is_what_it_was_last(home):
    run = a_run(home / "lightning_logs/a/version_0", 1, max_epochs=5)
    a_run(home / "lightning_logs/a/version_1", 2, max_epochs=9)
    assert len(transfusion("compare a")) == 2
    (run / "config_1.yaml").write_text((run / "config.yaml").read_text().replace("max_epochs: 5", "max_epochs: 9"))
    (run / "results_1.json").write_text('{"test/auroc": {"value": 0.95}, "provenance": {"own_split": true}}')
    (group,) = transfusion("compare a")
    assert group.measures["test/auroc"].mean == pytest.approx(0.9)


def test_runs_by_folder_pattern_and_name_each_once_and_in_order(home, capsys):
    logs = home / "lightning_logs"
    made = [a_run(logs / "a" / f"version_{n}", n) for n in (2, 10, 0)]
    latest = logs / "a" / "latest"
    latest.mkdir()
    (latest / "config.yaml").symlink_to(made[0] / "config.yaml")
    for words in ("a", "lightning_logs", f"{logs}/a", "'lightning_logs/a/version_*'", "'a/version_*' a"):
        (group,) = transfusion(f"compare {words}")
        assert [one.folder.path.name for one in group.runs] == ["version_0", "version_2", "version_10"], words
    (group,) = transfusion("compare lightning_logs/a/version_2")
    assert len(group.runs) == 1
    capsys.readouterr()
    assert "no run behind 'b'" in mistake("compare a b", capsys)
    assert "transfusion compare --help" in mistake("compare", capsys)
    (made[0] / "results.json").write_text("{")
    assert "version_2/results.json is not as the run wrote it" in mistake("compare a", capsys)


def test_csv_has_a_row_for_each_number_and_never_replaces_a_file(home):
    a_run(home / "lightning_logs/a/version_0", 1, step=50, batch=1)
    a_run(home / "lightning_logs/b/version_0", 1, transfer="HeadOnly")
    (home / "out.csv").write_text("mine")
    transfusion("compare a b --out out.csv")
    assert (home / "out.csv").read_text() == "mine"
    with open(home / "out_1.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["group"], row["name"], row["measure"]) for row in rows] == [
        (group, name, measure)
        for group, name in (("0", "a"), ("1", "b"))
        for measure in ("steps to val/auroc ≥ 0.8", "best val/auroc", "test/auroc")
    ]
    assert rows[0]["mean"] == "50.0" and rows[0]["sd"] == "" and rows[0]["reached"] == "1"
    assert "model.transfer=x.HeadOnly" in rows[3]["differs"]


def test_a_loss_is_best_when_low_and_another_metric_may_be_chosen(home):
    run = a_run(home / "lightning_logs/a/version_0", checkpoint={"monitor": "val/loss", "mode": "min"})
    (run / "metrics.csv").write_text("step,val/loss,val/kappa\n1,0.5,0.1\n2,0.3,nan\n3,0.4,0.2\n")
    (group,) = transfusion("compare a")
    assert group.measures["best val/loss"].mean == 0.3
    (group,) = transfusion("compare a --metric kappa")
    assert group.measures["best val/kappa"].mean == 0.2 and "test/kappa" not in group.measures


def test_a_metric_that_no_run_has_is_refused(home, capsys):
    a_run(home / "lightning_logs" / "a" / "version_0")
    message = mistake("compare a --metric aurocc", capsys)
    assert message == "None of these runs has a metric 'aurocc'.\nDid you mean auroc?\n"
    assert "Choose from: auroc" in mistake("compare a --metric nothing", capsys)


@pytest.mark.slow
def test_real_runs_from_fit_to_table(home, capsys):
    write_configs(home)
    every = "--trainer.val_check_interval 1 --trainer.check_val_every_n_epoch null --trainer.max_epochs 2"
    goal = "--steps_to_target.metric val/loss --steps_to_target.value 100"
    for seed in (1, 2):
        transfusion(f"fit --config base.yaml --data.batch_size 8 --seed_everything {seed} {every} {goal}")
    run = home / "lightning_logs/base/version_0"
    transfusion(f"test --ckpt_path {run}/checkpoints/best.ckpt")
    outcome = json.loads((run / "steps_to_target.json").read_text())
    assert (outcome["step"], outcome["reached"], outcome["budget"], outcome["value"]) == (1, True, 4, 100)
    assert outcome["metric"] == "val/loss" and outcome["seconds"] > 0
    (group,) = transfusion("compare base")
    steps = group.measures["steps to val/loss ≤ 100"]
    assert (steps.mean, steps.reached, steps.runs) == (1, 2, 2)
    assert group.measures["best val/auroc"].runs == 2 and group.measures["test/auroc"].runs == 1
    # A resumed run goes on counting, and knows its best score, from whichever folder it is resumed.
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The dirpath has changed")
        transfusion(f"fit --ckpt_path {run}/checkpoints/last.ckpt --trainer.max_epochs 3")
    outcome = json.loads((run / "steps_to_target.json").read_text())
    assert (outcome["step"], outcome["budget"]) == (1, 6) and (run / "config_1.yaml").is_file()


def test_needs_no_torch():
    import subprocess

    code = "import sys, transfusion_cli.cli.compare as c; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tests_on_other_samples_are_not_the_runs_results(home, capsys):
    run = a_run(home / "lightning_logs/a/version_0", 1)
    own = json.loads((run / "results.json").read_text())["test/auroc"]["value"]
    for number, claim in enumerate((False, None), start=1):
        entry = {"test/auroc": {"value": 0.999}, "provenance": {"own_split": claim}}
        (run / f"results_{number}.json").write_text(json.dumps(entry))
    (group,) = transfusion("compare a")
    assert group.measures["test/auroc"].mean == own
    out = capsys.readouterr().out
    assert f"mirror images: {run.relative_to(home)}/results_2.json" in out and "results_1.json" in out


def test_options_of_another_class_go_without_saying(home):
    logs = home / "lightning_logs"
    for name, options in {"a": {"up_to": "x"}, "b": {"up_to": "y"}, "c": None}.items():
        transfer = {"class_path": "s.Weights" if options else "s.Full", **({"init_args": options} if options else {})}
        a_run(logs / name / "version_0", model={"class_path": "x.Task", "init_args": {"transfer": transfer}})
    a, b, c = transfusion("compare a b c")
    assert a.differs == {"model.transfer": "s.Weights", "model.transfer.up_to": "x"}
    assert b.differs["model.transfer.up_to"] == "y"
    a, c = transfusion("compare a c")
    assert a.differs == {"model.transfer": "s.Weights"} and c.differs == {"model.transfer": "s.Full"}
