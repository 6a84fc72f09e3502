"""Fisher's irises: values that the published implementations give."""

import pytest
import torch
from sklearn.datasets import load_iris

from transfusion_cli.transferability.scores.base import scores
from transfusion_cli.transferability.scores.gbc import GBC
from transfusion_cli.transferability.scores.hscore_shrinkage import ledoit_wolf
from transfusion_cli.transferability.scores.knn import KNN
from transfusion_cli.transferability.scores.sample import Sample


@pytest.fixture(scope="module")
def iris():
    features, labels = (torch.tensor(part) for part in load_iris(return_X_y=True))
    return Sample(features, labels.long(), features.softmax(dim=1))


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "logme": -0.16006024,
        "hscore": 1.19189883,
        "hscore_shrinkage": 1.17784250,
        "transrate": 0.58940541,
        "gbc": -0.23068558,
        "leep": -0.98556960,
    }.items(),
)
def test_published_values(iris, name, value):
    assert scores()[name](iris) == pytest.approx(value, abs=1e-8)


def test_other_forms(iris):
    assert GBC("spherical")(iris) == pytest.approx(-0.33780431, abs=1e-8)
    assert float(ledoit_wolf(iris.principal, 4)) == pytest.approx(0.0075788, abs=1e-7)


@pytest.mark.parametrize(("k", "accuracy"), [(1, 0.96), (3, 0.96), (5, 0.96667), (13, 0.96667)])
def test_neighbours_by_euclid(iris, k, accuracy):
    decided = KNN(k, "euclidean").shares(iris).argmax(dim=1)
    assert float((decided == iris.labels).double().mean()) == pytest.approx(accuracy, abs=1e-5)
