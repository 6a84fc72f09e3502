from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from support.medmnist import build_medmnist

from transfusion_cli.datasets import MedMNISTDataModule
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.reports.size_alone import size_alone


def of_test(data):
    rows = data.samples.rows("test")
    targets = torch.from_numpy(data.samples.targets[rows])
    evaluation = ClassificationEvaluation.of(data.target, data.class_names, torch.rand(targets.shape).double(), targets)
    return replace(evaluation, index=torch.from_numpy(rows))


def test_shapes_are_told_apart_by_their_voxels(tmp_path):
    path = build_medmnist(tmp_path, "adrenalmnist3d", counts=(4, 4, 20))
    arrays, rng = dict(np.load(path)), np.random.default_rng(0)
    sides = rng.integers(8, 20, 20) + 3 * arrays["test_labels"][:, 0]
    arrays["test_images"] = np.zeros((20, 28, 28, 28), np.uint8)
    for volume, side in zip(arrays["test_images"], sides, strict=True):
        volume[:side, :side, :side] = 255
    np.savez(path, **arrays)
    data = MedMNISTDataModule(root=str(tmp_path), flag="adrenalmnist3d")
    [(name, entry)] = size_alone(of_test(data), data).items()
    assert name == "test/auroc_of_size_alone"
    assert entry["value"] == pytest.approx(roc_auc_score(arrays["test_labels"][:, 0], sides))
    assert entry["low"] < entry["value"] < entry["high"] and entry["samples"] == 20
    np.testing.assert_array_equal(data.sizes(data.samples.rows("test")), sides**3)


@pytest.mark.parametrize("flag", ["nodulemnist3d", "fracturemnist3d", "pneumoniamnist"])
def test_grey_levels_have_no_size(flag, tmp_path):
    build_medmnist(tmp_path, flag)
    data = MedMNISTDataModule(root=str(tmp_path), flag=flag)
    assert size_alone(of_test(data), data) == {}
