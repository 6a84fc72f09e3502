from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.predicted import intervals_of, metrics_of, predicted

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.intervals import Interval
from transfusion_cli.metrics.results import build_results, format_table
from transfusion_cli.targets import TARGETS

NAN = float("nan")


class Given:
    """An evaluation with these metrics and intervals."""

    patients = None

    def __init__(self, data, metrics, intervals):
        of = ClassificationEvaluation.of(*data.arguments)
        self.metrics, self.intervals = metrics, lambda: intervals
        self.notes: dict[str, str] = {}
        self.support, self.counts = of.support, of.counts

    def __len__(self):
        return 200


@pytest.mark.parametrize("target", TARGETS)
def test_every_metric_is_there_and_the_file_is_strict_json(target) -> None:
    data = predicted(target)
    metrics = metrics_of(*data)
    intervals = intervals_of(*data)
    results = build_results(ClassificationEvaluation.of(*data))
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    for name, value in metrics.items():
        entry = results[f"test/{name}"]
        assert entry["value"] == value
        assert (entry["low"], entry["high"], entry["method"]) == intervals[name][:3] and "why" not in entry
    assert results["test/samples"] == {"value": 200}
    assert results["test/patients"] == {"value": len(set(data.patients))}
    known = data.targets[data.targets >= 0].numel()
    if target == "binary":
        assert results["test/auroc"]["samples"] == known
        assert results["test/auroc"]["positives"] == results["test/positives/class 1"]["value"] == data.targets.nansum()
    elif target != "multilabel":
        assert results["test/auroc"]["samples"] == known
        assert results["test/auroc/class 2"]["positives"] == (data.targets == 2).sum()


def test_counts_are_per_label_and_undefined_is_null() -> None:
    data = predicted("multilabel", classes=2)
    data.targets[:, 1] = 0
    data.targets[:50, 1] = NAN
    results = build_results(ClassificationEvaluation.of(*data.arguments))
    assert results["test/auroc/class 1"] == {
        "value": None,
        "low": None,
        "high": None,
        "why": "too few positives (0)",
        "samples": 150,
        "positives": 0,
    }
    assert "test/patients" not in results


def test_validation_and_metrics_without_interval_have_a_value_alone() -> None:
    data = predicted("binary")
    evaluation = replace(ClassificationEvaluation.of(*data.arguments), loss=NAN)
    results = build_results(evaluation, validation={"val/auroc": 0.9, "f1": 0.5})
    assert results["test/loss"] == {"value": None}
    assert results["val/auroc"] == {"value": 0.9}
    assert results["val/f1"] == {"value": 0.5}


def test_table() -> None:
    data = predicted("multilabel", classes=2)
    metrics = {"loss": 0.25, "auroc": 0.9126, "f1": NAN, "auroc/class 0": 0.9, "auroc/class 1": NAN}
    nothing = Interval(NAN, NAN, why="too few positives (9)")
    intervals = {name: nothing for name in metrics if name != "loss"} | {"auroc": Interval(0.88, 0.94, "some")}
    data.targets[:] = 0
    results = build_results(Given(data, metrics, intervals), validation={"auroc": 0.8})
    assert format_table(results).splitlines() == [
        "test       value      95 % interval          positives",
        "---------  ---------  ---------------------  ---------",
        "loss       0.250",
        "auroc      0.913      0.880 to 0.940",
        "  class 0  0.900      too few positives (9)  0/200",
        "  class 1  undefined  too few positives (9)  0/200",
        "f1         undefined  too few positives (9)",
    ]
    assert format_table(results, "val").splitlines() == ["val    value", "-----  -----", "auroc  0.800"]
