from __future__ import annotations

import json

import pytest
from support.predicted import predicted

from transfusion_cli.metrics.bootstrap import Interval, bootstrap_intervals
from transfusion_cli.metrics.classification import classification_metrics
from transfusion_cli.metrics.results import build_results, format_table
from transfusion_cli.targets import TARGETS

NAN = float("nan")


@pytest.mark.parametrize("target", TARGETS)
def test_every_metric_is_there_and_the_file_is_strict_json(target) -> None:
    data = predicted(target)
    metrics = classification_metrics(*data.arguments)
    intervals = bootstrap_intervals(*data, resamples=20)
    results = build_results(target, data.class_names, metrics, intervals, data.targets, data.patients)
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    for name, value in metrics.items():
        entry = results[f"test/{name}"]
        assert entry["value"] == value
        assert (entry["low"], entry["high"]) == intervals[name][:2]
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
    metrics = classification_metrics(*data.arguments)
    intervals = bootstrap_intervals(*data.arguments, resamples=20)
    results = build_results("multilabel", data.class_names, metrics, intervals, data.targets)
    assert results["test/auroc/class 1"] == {
        "value": None,
        "low": None,
        "high": None,
        "undefined_resamples": 20,
        "samples": 150,
        "positives": 0,
    }
    assert "test/patients" not in results


def test_validation_and_metrics_without_interval_have_a_value_alone() -> None:
    data = predicted("binary")
    results = build_results(
        "binary", data.class_names, {"loss": NAN}, {}, data.targets, validation={"val/auroc": 0.9, "f1": 0.5}
    )
    assert results["test/loss"] == {"value": None}
    assert results["val/auroc"] == {"value": 0.9}
    assert results["val/f1"] == {"value": 0.5}


def test_table() -> None:
    data = predicted("multilabel", classes=2)
    metrics = {"loss": 0.25, "auroc": 0.9126, "f1": NAN, "auroc/class 0": 0.9, "auroc/class 1": NAN}
    nothing = Interval(NAN, NAN, 9)
    intervals = {name: nothing for name in metrics if name != "loss"} | {"auroc": Interval(0.88, 0.94, 0)}
    data.targets[:] = 0
    results = build_results("multilabel", data.class_names, metrics, intervals, data.targets, validation={"auroc": 0.8})
    assert format_table(results).splitlines() == [
        "test       value      95 % interval   positives",
        "---------  ---------  --------------  ---------",
        "loss       0.250",
        "auroc      0.913      0.880 to 0.940",
        "  class 0  0.900      undefined       0/200",
        "  class 1  undefined  undefined       0/200",
        "f1         undefined  undefined",
    ]
    assert format_table(results, "val").splitlines() == ["val    value", "-----  -----", "auroc  0.800"]
