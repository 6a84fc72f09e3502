"""The evaluation of masks: means, their intervals, what is pooled, tables, and the way back from a table."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t
from sklearn.metrics import average_precision_score, roc_auc_score
from support.masks import blobs, evaluation, squares

from transfusion_cli.metrics.difference import difference
from transfusion_cli.metrics.intervals import logarithmic, wilson
from transfusion_cli.metrics.masks.measure import COLUMNS, measure
from transfusion_cli.metrics.results import build_results, format_table
from transfusion_cli.metrics.segmentation import SegmentationEvaluation


def drawn(cases=12, classes=2, seed=0, shape=(24, 20), **kwargs):
    """Masks of which some structures are missed (case 3), absent (class 1 of cases 1, 5, ...) and false alarms."""
    rng = np.random.default_rng(seed)
    pairs = []
    for number in range(cases):
        truth = np.stack([blobs(rng, shape, 0.2) for _ in range(classes)])
        predicted = truth ^ np.stack([blobs(rng, shape, 0.08) for _ in range(classes)])
        if number % 4 == 1 and classes > 1:
            truth[1] = False
        if number == 5:
            predicted[-1] = False
        if number == 3:
            predicted[0] = False
        pairs.append((predicted, truth))
    return pairs, evaluation(pairs, names=[f"class {number}" for number in range(classes)], **kwargs)


def dice(pairs, at):
    """Of each case, NaN where the class is not there."""
    each = [2 * (p[at] & t[at]).sum() / (p[at].sum() + t[at].sum()) if t[at].any() else math.nan for p, t in pairs]
    return np.array(each)


def test_means_over_cases_then_patients_then_classes():
    patients = np.array(list("ABCDDDEFGHHI"))
    pairs, found = drawn(patients=patients)
    means = []
    for at, name in enumerate(found.class_names):
        each = dice(pairs, at)
        own = [each[(patients == one) & ~np.isnan(each)] for one in dict.fromkeys(patients)]
        means.append(np.mean([values.mean() for values in own if len(values)]))
        assert found.metrics[f"dice/{name}"] == pytest.approx(means[-1], abs=1e-12)
    assert found.metrics["dice"] == pytest.approx(np.mean(means), abs=1e-12)
    assert found.estimates["dice/class 1"].patients == {"patients": 8}  # one of the nine has no case with it
    apart = evaluation(pairs, names=found.class_names)
    for at, name in enumerate(found.class_names):
        assert apart.metrics[f"dice/{name}"] == pytest.approx(np.nanmean(dice(pairs, at)), abs=1e-12)


def test_intervals_are_of_the_means_of_patients():
    patients = np.array(list("AABCCCDEFGGH"))
    pairs, found = drawn(patients=patients)
    each = dice(pairs, 0)
    own = np.array([each[patients == one].mean() for one in dict.fromkeys(patients)])
    estimate = found.estimates["dice/class 0"]
    assert estimate.variance == pytest.approx(own.var(ddof=1) / len(own), rel=1e-9)
    intervals = found.intervals()
    assert intervals["dice/class 0"] == wilson(estimate, 0.95)
    assert intervals["hd95/class 0"] == logarithmic(found.estimates["hd95/class 0"], 0.95)
    for name, (low, high, method, why) in intervals.items():
        value = found.metrics[name]
        assert (low <= value <= high and method) or why
        assert name.startswith(("hd95", "volume_error")) or why or (low >= 0 and high <= 1)
    assert intervals["dice_global"].why == "too few patients (8)"  # a share of voxels needs ten


def test_few_patients():
    _, found = drawn(cases=3, classes=1)
    assert found.intervals()["dice"].method and found.intervals()["hd95"].method
    assert found.take([0, 1]).intervals()["dice"].why == "too few patients (2)"


def test_t_on_the_logarithm():
    _, found = drawn(classes=1)
    estimate = found.estimates["hd95/class 0"]
    low, high, method, _ = logarithmic(estimate, 0.9)
    assert low * high == pytest.approx(estimate.value**2) and "logarithm" in method
    error = math.sqrt(estimate.variance * 12 / 10) / estimate.value
    assert math.log(high / estimate.value) == pytest.approx(t.ppf(0.95, 11) * error)
    perfect = evaluation([(squares()[:1], squares()[:1])] * 4)
    assert perfect.metrics["hd95"] == 0 and perfect.intervals()["hd95"].why == "all are 0"
    assert perfect.intervals()["dice"].high == 1 > perfect.intervals()["dice"].low > 0


def test_what_is_missed_and_what_is_not_there():
    pairs, found = drawn()
    each = dice(pairs, 0)
    assert each[3] == 0 and found.metrics["dice/class 0"] == pytest.approx(each.mean())
    assert found.scores["hd95"][3, 0] == pytest.approx(math.hypot(24, 20)) and found.scores["nsd"][3, 0] == 0
    expected = {"positives": (12, 9), "missed": (1, 0), "absent": (0, 3), "false_alarms": (0, 2)}
    for kind, counts in expected.items():
        assert tuple(found.counts[f"{kind}/class {at}"] for at in (0, 1)) == counts
    assert found.counts["false_volume/class 1"] == np.median([pairs[at][0][1].sum() for at in (1, 9)])
    assert found.support("dice/class 1") == {"samples": 12, "positives": 9}
    assert found.support("dice") == found.support("dice_global") == {"samples": 12}
    strict = evaluation(pairs, names=found.class_names, empty="one")
    expected = np.where(np.isnan(each := dice(pairs, 1)), [float(not p[1].any()) for p, _ in pairs], each)
    assert strict.metrics["dice/class 1"] == pytest.approx(expected.mean())


def test_a_class_that_is_nowhere_is_undefined_and_leaves_the_others():
    nothing = np.zeros((12, 12), dtype=bool)
    box = nothing.copy()
    box[2:8, 2:8] = True
    found = evaluation([(np.stack([box, nothing]), np.stack([box, nothing]))] * 4)
    for kind in ("dice", "dice_global", "lesion_f1_global", "hd95"):
        assert math.isnan(found.metrics[f"{kind}/class 1"])
        assert found.metrics[kind] == found.metrics[f"{kind}/class 0"]
    assert found.intervals()["dice/class 1"].why == "too few patients (0)"
    assert all(estimate.spread.isfinite().all() for estimate in found.estimates.values())


def test_all_voxels_together():
    pairs, found = drawn(cases=12)
    predicted, truth = (np.stack(each) for each in zip(*pairs, strict=True))
    for at in (0, 1):
        both, sizes = (predicted & truth)[:, at].sum(), predicted[:, at].sum() + truth[:, at].sum()
        assert found.metrics[f"dice_global/class {at}"] == pytest.approx(2 * both / sizes)
    assert found.intervals()["dice_global"].method.startswith("MOVER")


def test_lesions_of_each_case_and_of_all():
    _, found = drawn(classes=1)
    true, hit = (found.measures[:, 0, COLUMNS.index(f"lesions_{name}")] for name in ("true", "found"))
    assert found.metrics["lesion_recall"] == pytest.approx((hit / true).mean().item())
    assert found.metrics["lesion_recall_global"] == pytest.approx((hit.sum() / true.sum()).item())
    assert found.metrics["lesion_f1_iou50"] < found.metrics["lesion_f1"]


def test_one_class_has_no_name():
    _, found = drawn(classes=1, ranked=True)
    names = list(found.metrics)
    assert names[0] == "dice" and not any("/" in name for name in names)
    assert {"accuracy", "background_accuracy", "auroc", "average_precision", "auroc_per_image"} < set(names)
    _, several = drawn()
    assert "accuracy" not in several.metrics and next(iter(several.metrics)) == "dice"
    bare = evaluation([squares()[:, None]]).measures
    found = SegmentationEvaluation(index=torch.arange(1), class_names=["vessel"], measures=bare)
    assert not {"hd95", "nsd", "auroc", "lesion_f1"} & set(found.metrics) and found.metrics["dice"] == 0.5625


def test_pixels_are_ranked_image_by_image_and_together():
    rng = np.random.default_rng(0)
    valid = blobs(rng, (24, 20), 0.7)
    pairs, found = drawn(classes=1, ranked=True, valid=valid)
    noise = np.arange(480).reshape(24, 20) % 7 / 2
    scores = [(2.0 * p[0] + t[0] + noise)[valid] for p, t in pairs]
    truth = [t[0][valid] for _, t in pairs]
    for name, measured in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        assert found.metrics[name] == pytest.approx(measured(np.concatenate(truth), np.concatenate(scores)))
        each = [measured(*pair) for pair in zip(truth, scores, strict=True)]
        assert found.metrics[f"{name}_per_image"] == pytest.approx(np.mean(each))
    assert found.intervals()["auroc"].method and found.intervals()["auroc_per_image"].method


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_influences_are_derivatives(seed):
    """Of the weight of one patient, as far as a small step tells."""
    rng = np.random.default_rng(seed)
    _, found = drawn(seed=seed, patients=np.array(list("AABCCCDEFGGH")))
    patient = int(rng.integers(8))
    ones = torch.ones(12, dtype=torch.float64)
    step = torch.where(found.clusters == patient, 1e-6, 0.0).double()
    up, down = found.statistic(ones + step), found.statistic(ones - step)
    for name, value in found.estimates.items():
        if name in up and math.isfinite(value.value) and "dice" in name:
            factor = math.sqrt(n / (n - 1)) if (n := value.patients["patients"]) > 1 else 1
            slope = (up[name] - down[name]).item() / 2e-6
            assert value.spread[0, patient].item() == pytest.approx(slope * factor, abs=1e-5)


def test_runs_are_compared_on_eight_patients():
    pairs, better = drawn(cases=8, classes=1)
    rng = np.random.default_rng(1)
    worse = evaluation([(p ^ blobs(rng, (24, 20), 0.08), t) for p, t in pairs])
    gap = difference([better.estimates["dice"]], [worse.estimates["dice"]], paired=True)
    each = dice(pairs, 0) - worse.scores["dice"][:, 0].numpy()
    assert gap.value == pytest.approx(each.mean())
    assert gap.high - gap.value == pytest.approx(t.ppf(0.975, 7) * each.std(ddof=1) / math.sqrt(8))


def test_results_and_their_table():
    _, found = drawn()
    results = build_results(found)
    assert results["test/dice/class 1"]["positives"] == 9 and results["test/missed/class 0"] == {"value": 1}
    assert "never left out" in results["notes"]["empty_masks"] and "class 1 1" in results["notes"]["tolerances"]
    lines = format_table(results).splitlines()
    assert lines[2].startswith("dice ") and lines[3].startswith("  class 0 ") and lines[3].endswith("12/12")
    assert [line.split() for line in lines[-2:]] == [
        ["class", "0", "1", "0", "0"],
        ["class", "1", "0", "3", "2", f"{found.counts['false_volume/class 1']:g}"],
    ]


def as_text(found):
    """The columns as a table of text has them."""
    rows = found.columns() | found.truth()
    patients = None if found.patients is None else np.asarray(found.patients)[found.case_of_row]
    rows |= {"patient": np.full(len(found.case_of_row), "") if patients is None else patients}
    return {
        name: np.array(["" if value != value else str(value) for value in values], dtype=object)
        for name, values in rows.items()
    }


@pytest.mark.parametrize("empty", ["undefined", "one", "zero"])
@pytest.mark.parametrize("classes", [1, 2])
def test_there_and_back(classes, empty):
    _, found = drawn(classes=classes, ranked=classes == 1, patients=np.array(list("AABCCCDEFGGH")), empty=empty)
    rows = as_text(found)
    assert {len(values) for values in rows.values()} == {12 * classes} and found.case_of_row.tolist() == sorted(
        [*range(12)] * classes
    )
    again = SegmentationEvaluation.of_table(rows, found.metrics)
    pooled = {"auroc", "average_precision"} if classes == 1 else set()
    assert set(again.metrics) == set(found.metrics) - pooled and list(again.class_names) == list(found.class_names)
    for name, value in again.metrics.items():
        assert value == pytest.approx(found.metrics[name], abs=1e-9)
        assert again.estimates[name].variance == pytest.approx(found.estimates[name].variance, abs=1e-9)


def test_a_table_of_something_else():
    _, found = drawn()
    rows = as_text(found)
    mixed = rows["class"].copy()
    mixed[:2] = mixed[1::-1]
    for change in ({"class": mixed}, {"tp": rows["class"]}):
        with pytest.raises(ValueError):
            SegmentationEvaluation.of_table(rows | change, found.metrics)
    for column in ("class", "tp"):  # of another kind
        assert SegmentationEvaluation.of_table({n: rows[n] for n in rows if n != column}, found.metrics) is None
    cut = {name: values[:-1] for name, values in rows.items()}
    with pytest.raises(ValueError, match="same classes"):
        SegmentationEvaluation.of_table(cut, found.metrics)


def test_cases_without_a_mask():
    """As in the split that is only predicted: volumes, and no metric."""
    predicted = torch.tensor(squares())[:1]
    known = torch.zeros(64, 64, dtype=torch.bool)
    measures = torch.stack([measure(predicted, torch.zeros_like(predicted), known, (0.5, 0.5))] * 2)
    found = SegmentationEvaluation(index=torch.arange(2), class_names=["vessel"], measures=measures)
    assert all(map(math.isnan, found.metrics.values())) and set(found.counts.values()) == {0}
    assert found.columns()["volume"].tolist() == [16.0, 16.0]


def test_take():
    _, found = drawn(classes=1, ranked=True, patients=np.array(list("AABCCCDEFGGH")))
    part = found.take(found.index % 2 == 0)
    assert len(part) == 6 and list(part.patients) == list("ABCDFG") and len(part.histograms) == 6
    assert part.metrics["dice"] == pytest.approx(found.scores["dice"][::2].mean().item())


def test_in_inference_mode():
    with torch.inference_mode():
        _, found = drawn(classes=1, ranked=True)
        assert found.intervals()["dice"].method and found.intervals()["auroc"].method
