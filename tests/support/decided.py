"""Predictions whose calibration is known, and decisions that were fitted to them."""

import numpy as np
import torch

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.fitted_on import FittedOn, hashes


def labels(n=600, names=("sick",), slope=0.5, shift=1.0, seed=0, each=1):
    """An evaluation of labels whose true log-odds are ``slope * logit + shift``; ``each`` images a patient."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (n, len(names)))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-(slope * logits + shift)))
    target, classes = ("binary", ["well", *names]) if len(names) == 1 else ("multilabel", list(names))
    made = ClassificationEvaluation.of_logits(target, classes, torch.tensor(logits), torch.tensor(truth).float())
    return made.of_patients(np.array([f"p{row // each}" for row in range(n)]))


def classes(n=600, slope=0.4, seed=0):
    """An evaluation of three classes whose true logits are ``slope`` times those of the network, a few unlabelled."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (n, 3))
    p = torch.tensor(slope * logits).softmax(dim=1).numpy()
    targets = (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    targets[::50] = -1
    return ClassificationEvaluation.of_logits(
        "multiclass", ["a", "b", "c"], torch.tensor(logits), torch.tensor(targets)
    )


def fitted_on(ids=("v1", "v2"), patients=(), **facts):
    """Where decisions come from."""
    given = {"run": "a/version_0", "split": "val", "split_sha256": "0" * 64, "checkpoint": "best.ckpt"}
    own = {"checkpoint_sha256": "1" * 64, "epoch": 3, **given, **facts}
    return FittedOn(samples=frozenset(hashes(ids)), patients=frozenset(hashes(patients)), **own)
