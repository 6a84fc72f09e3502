"""What is inside an exported file does what a task and its metrics do."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from support.networks import randomised
from torch import nn

from transfusion_cli.export.deployed import Deployed, chances
from transfusion_cli.export.preprocessing import Preprocessing, levels
from transfusion_cli.metrics.probabilities import probabilities
from transfusion_cli.tasks.normalised import normalised

LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 6


@pytest.mark.parametrize("target", ["binary", "multilabel", "multiclass", "ordinal"])
def test_probabilities_are_those_of_the_metrics(target):
    torch.testing.assert_close(chances(target, LOGITS).double(), probabilities(target, LOGITS), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("channels", "network"), [(1, 3), (3, 3), (1, 1)])
@pytest.mark.parametrize("deep", [False, True])
def test_images_are_normalised_as_a_task_does_it(channels, network, deep):
    images = torch.randint(0, 256, (2, channels, 5, 4), dtype=torch.uint8)
    images = images / 255 if deep else images
    mean, std = tuple(0.1 * (k + 3) for k in range(network)), tuple(0.1 * (k + 1) for k in range(network))
    deployed = Deployed(nn.Flatten(), "binary", Preprocessing(channels, (5, 4), "pad", mean, std))
    want = normalised(images, *(torch.tensor(value).view(1, -1, 1, 1) for value in (mean, std))).flatten(1)
    torch.testing.assert_close(deployed(levels(images))[0], want, atol=1e-6, rtol=1e-6)


def test_a_calibration_is_one_more_output():
    network, made = randomised(), Preprocessing(3, (16, 16), "pad", (0.5,) * 3, (0.2,) * 3)
    images = torch.rand(3, 3, 16, 16) * 255
    plain = Deployed(network, "multiclass", made, SimpleNamespace(thresholds={}, affine=lambda: None))
    assert plain.outputs == ("logits", "probabilities") and len(plain(images)) == 2
    for target, turn in (("multiclass", lambda z: softmax(z, axis=1)), ("multilabel", expit)):
        affine = np.linspace(0.5, 2, 10), np.linspace(-1, 1, 10)
        calibrated = Deployed(network, target, made, SimpleNamespace(thresholds={}, affine=lambda a=affine: a))
        logits, raw, fitted = (value.numpy() for value in calibrated(images))
        assert calibrated.outputs == ("logits", "probabilities", "calibrated")
        np.testing.assert_allclose(raw, turn(logits), atol=1e-6)
        np.testing.assert_allclose(fitted, turn(logits * affine[0] + affine[1]), atol=1e-5)
        assert not np.allclose(fitted, raw, atol=1e-3)
