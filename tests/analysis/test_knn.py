"""Nearest neighbours in feature space."""

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from transfusion_cli.analysis.features import Features
from transfusion_cli.analysis.knn import answer_matrix, neighbour_metrics, neighbour_votes


def clusters(n, seed, classes=3, spread=0.1):
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=draws)
    return torch.eye(8)[labels] + spread * torch.randn(n, 8, generator=draws), labels


def features(x, y, start=0):
    return Features({("net", "layer"): x}, y, torch.arange(len(y)) + start)


def test_separable_clusters_are_told_apart():
    reference, queries = features(*clusters(90, 0)), features(*clusters(60, 1), start=1000)
    rows = neighbour_metrics(reference, queries, "multiclass", ["a", "b", "c"])
    values = {row["measure"]: row for row in rows}
    assert values["accuracy"]["value"] == values["auroc"]["value"] == 1
    assert values["auroc"]["chance"] == 0.5 and 0.2 < values["accuracy"]["chance"] < 0.5
    assert values["accuracy"]["n_reference"] == 90 and values["accuracy"]["n"] == 60


def test_like_scikit_learn():
    (x, y), (queries, _) = clusters(200, 2, spread=1.5), clusters(50, 3, spread=1.5)
    expected = KNeighborsClassifier(10, metric="cosine").fit(x.numpy(), y.numpy()).predict_proba(queries.numpy())
    for chunk in (7, 1024):
        votes = neighbour_votes(x, answer_matrix("multiclass", y, 3), queries, 10, chunk=chunk)
        assert votes.numpy() == pytest.approx(expected)


def test_nobody_is_his_own_neighbour():
    """Labels that follow no rule are learned by heart if a sample may vote for itself."""
    x, _ = clusters(300, 4)
    own = features(x, torch.randint(0, 2, (300, 1), generator=torch.Generator().manual_seed(9)).float())
    (accuracy, _) = neighbour_metrics(own, own, "binary", ["no", "yes"], k=1)
    assert accuracy["value"] < 0.7


def test_unknown_labels_do_not_vote():
    x = torch.eye(2)[torch.tensor([0, 0, 1, 1])]
    answers = torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan], [0.0, 1.0], [0.0, 0.0]])
    votes = neighbour_votes(x, answers, torch.eye(2), k=2)
    assert votes[0].tolist() == pytest.approx([1, 0.5]), "no known neighbour: the mean of all"
    assert votes[1].tolist() == pytest.approx([0, 0.5])
    assert answer_matrix("multiclass", torch.tensor([1, -1]), 2)[1].isnan().all()
