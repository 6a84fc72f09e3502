import numpy as np

from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.inspection.counts import class_counts, co_occurrence, count, published_counts
from transfusion_cli.inspection.table_checks import check_counts, check_ids, check_patients, check_published

NAMES = ["a", "b", "c"]


def table_of(targets, split, patients=None, ids=None):
    n = len(split)
    patients = None if patients is None else as_text(patients)
    return SampleTable(as_text(ids or range(n)), np.asarray(targets), np.array(split, dtype="<U7"), patients)


def kinds(findings):
    return [(finding.level, finding.kind) for finding in findings]


def test_classes_of_every_kind_of_target():
    assert class_counts(np.array([0, 2, 2, -1]), "multiclass", NAMES) == {"a": 1, "b": 0, "c": 2, "unknown": 1}
    binary = np.array([[0.0], [1.0], [1.0], [np.nan]])
    assert class_counts(binary, "binary", ["no", "yes"]) == {"no": 1, "yes": 2, "unknown": 1}
    several = np.array([[1, 0, np.nan], [1, 1, np.nan]])
    assert class_counts(several, "multilabel", NAMES) == {"a": 2, "b": 1, "c": 0, "unknown": 2}
    assert co_occurrence(several).tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_sound_counts_give_no_finding():
    table = table_of([0, 1, 2] * 3, ["train"] * 3 + ["val"] * 3 + ["test"] * 3)
    assert not kinds(check_counts(count(table, "multiclass", NAMES), "multiclass"))


def test_empty_splits_and_absent_classes():
    table = table_of([0, 1, 0, 2], ["train", "train", "val", "val"])
    found = list(check_counts(count(table, "multiclass", NAMES), "multiclass"))
    assert kinds(found) == [("error", "empty-split"), ("error", "absent-class"), ("warning", "absent-class")]
    assert "test" in found[0].message and "training sample has c" in found[1].message and "val" in found[2].message


def test_data_for_the_test_alone_are_no_error():
    table = table_of([0, 1, 2, -1], ["test"] * 4)
    found = kinds(check_counts(count(table, "multiclass", NAMES), "multiclass"))
    assert found == [("warning", "empty-split"), ("note", "unknown-labels")]
    nothing = table_of(np.zeros(0, np.int64), [])
    assert kinds(check_counts(count(nothing, "multiclass", NAMES), "multiclass")) == [("error", "empty-split")]


def test_published_counts():
    table = table_of([0, 1, 1, 2], ["train", "val", "test", ""], ["p", "p", "q", "r"])
    keys = ["images", "patients", "train+val", "test", "class:b", "class:nobody"]
    found = published_counts(table, keys, "multiclass", NAMES)
    assert found == {"images": 4, "patients": 3, "train+val": 2, "test": 1, "class:b": 2, "class:nobody": None}
    right = {key: number for key, number in found.items() if number is not None}
    assert kinds(check_published(table, right, "multiclass", NAMES, "")) == [("note", "published")]
    [finding] = check_published(table, right | {"test": 5}, "multiclass", NAMES, "")
    assert finding.level == "warning" and "test 1 (published 5)" in finding.message
    [finding] = check_published(table, {"test": 5}, "multiclass", NAMES, "a leak")
    assert finding.level == "note"
    assert not list(check_published(table, {}, "multiclass", NAMES, ""))


def test_patients():
    split = ["train", "val", "test", "predict", ""]
    crossing = table_of([0] * 5, split, ["p", "p", "q", "q", "q"])
    [finding] = check_patients(crossing, "")
    assert (finding.level, finding.kind) == ("error", "patients-across-splits")
    assert finding.details == {"patients": 1, "images": 2, "names": ["p"]}
    assert not list(check_patients(table_of([0] * 5, split, ["p", "r", "q", "q", "p"]), ""))
    assert kinds(check_patients(crossing, "on purpose")) == [("warning", "known-leak")]
    assert kinds(check_patients(table_of([0] * 5, split), "")) == [("note", "patients")]


def test_ids():
    [finding] = check_ids(table_of([0, 0, 0], ["train"] * 3, ids=["a", "b", "a"]))
    assert finding.level == "error" and ": a" in finding.message
    assert not list(check_ids(table_of([0, 0], ["train"] * 2)))
