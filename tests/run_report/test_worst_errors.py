"""The worst errors of several classes and labels, against sorting by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.run_report.worst_errors import MOST, WorstError

NAMES = ["a", "b", "c"]


def drawn(kind, count=120):
    """Probabilities and targets of cases in the order of their ids, and the file's order."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(count, 3))
    if kind == "multiclass":
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        target = torch.tensor(rng.integers(0, 3, count))
    else:
        p = 1 / (1 + np.exp(-logits))
        labels = rng.integers(0, 2, (count, 3)).astype(np.float32)
        labels[::5, 1] = np.nan
        target = torch.tensor(labels)
    return p, target, rng.permutation(count)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_the_worst_of_each_group_in_turn(kind, tmp_path):
    p, target, order = drawn(kind)
    ids = np.array([f"s{number:03}" for number in range(len(p))])
    pd.DataFrame({"id": ids[order], "p_a": p[order, 0]}).to_csv(tmp_path / "p.csv", index=False)
    evaluation = ClassificationEvaluation.of(kind, NAMES, torch.tensor(p), target)
    found, counts = WorstError.of(evaluation, tmp_path / "p.csv")

    truth, wrong = target.numpy(), {}
    for at, name in enumerate(NAMES):
        if kind == "multiclass":
            rows = np.flatnonzero((truth == at) & (p.argmax(axis=1) != at))
            wrong[f"{name} taken for another"] = rows[np.argsort(p[rows, at])], (truth == at).sum()
        else:
            missed = np.flatnonzero((truth[:, at] == 1) & (p[:, at] <= 0.5))
            alarms = np.flatnonzero((truth[:, at] == 0) & (p[:, at] > 0.5))
            wrong[f"{name} missed"] = missed[np.argsort(p[missed, at])], (truth[:, at] == 1).sum()
            wrong[f"{name} where there is none"] = alarms[np.argsort(-p[alarms, at])], (truth[:, at] == 0).sum()
    assert counts == {group: (len(rows), of) for group, (rows, of) in wrong.items()}
    assert len(found) == MOST
    shares = [sum(error.group == group for error in found) for group in wrong]
    assert max(shares) - min(shares) <= 1
    for (group, (rows, _)), share in zip(wrong.items(), shares, strict=True):
        own = [error for error in found if error.group == group]
        assert [error.id for error in own] == ids[rows[:share]].tolist()
        lines = (tmp_path / "p.csv").read_text().splitlines()
        assert all(lines[error.line - 1].startswith(f"{error.id},") for error in own)


def test_errors_are_those_of_the_decisions_that_the_file_has(tmp_path):
    """A label with a threshold by that; one without, or a case without, at 0.5."""
    p, target, order = drawn("multilabel")
    ids = np.array([f"s{number:03}" for number in range(len(p))])
    decided = np.where(np.arange(len(p)) % 7, (p[:, 0] > 0.8).astype(int).astype(str), "")
    columns = {"id": ids[order], "p_a": p[order, 0], "decision_a": decided[order]}
    pd.DataFrame(columns).to_csv(tmp_path / "p.csv", index=False)
    evaluation = ClassificationEvaluation.of("multilabel", NAMES, torch.tensor(p), target)
    found, counts = WorstError.of(evaluation, tmp_path / "p.csv", 1000)

    truth, limit = target.numpy(), np.where(np.arange(len(p)) % 7, 0.8, 0.5)
    missed = (truth[:, 0] == 1) & (p[:, 0] <= limit)
    assert {error.id for error in found if error.group == "a missed"} == {*ids[missed]}
    assert counts["a missed"] == (missed.sum(), (truth[:, 0] == 1).sum())
    alarms = (truth[:, 1] == 0) & (p[:, 1] > 0.5)
    assert {error.id for error in found if error.group == "b where there is none"} == {*ids[alarms]}
