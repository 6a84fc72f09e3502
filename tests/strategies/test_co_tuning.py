"""The source's classifier learns from the new labels too."""

import numpy as np
import pytest
import timm
import torch
from scipy.optimize import brentq
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from support.networks import source_file
from support.regularised import a_batch, built, check_whole_life, refused, term
from support.tiny import TinyDataModule

from transfusion_cli.strategies import CoTuning
from transfusion_cli.strategies.relation import STRENGTHS, calibrated_relation


def answers(rng, count, classes=3):
    """Source probabilities that tell something, not all, of the classes."""
    target = rng.integers(0, classes, count)
    logits = rng.normal(0, 1, (count, 6))
    logits[np.arange(count), target] += 1.2
    return softmax(logits, axis=1), target


def reference(train, held_out, classes):
    """By scikit-learn, from the definition."""
    best = (-1.0, None)
    for strength in (1e4, 3e3, 1e3, 3e2, 1e2, 3e1, 1e1, 3.0, 1.0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4):
        fit = LogisticRegression(C=strength, fit_intercept=False, tol=1e-10, max_iter=20000).fit(*train)
        right = (fit.predict(held_out[0]) == held_out[1]).mean()
        if right > best[0]:
            best = right, fit.coef_
    logits = held_out[0] @ best[1].T

    def slope(scale):
        p = softmax(scale * logits, axis=1)
        return ((p * logits).sum(1) - logits[np.arange(len(logits)), held_out[1]]).mean()

    scale = brentq(slope, 0, 100, xtol=1e-13)
    of_source = softmax(best[1].T * scale, axis=1)
    marginal = np.concatenate([train[0], held_out[0]]).mean(0)
    rows = [[of_source[s, t] * marginal[s] for s in range(len(marginal))] for t in range(classes)]
    return np.array([np.array(row) / sum(row) for row in rows])


def test_the_relation_is_that_of_the_paper():
    rng = np.random.default_rng(3)
    train, held_out = answers(rng, 150), answers(rng, 60)
    found = calibrated_relation(train, held_out, 3)
    np.testing.assert_allclose(found, reference(train, held_out, 3), rtol=1e-4)
    np.testing.assert_allclose(found.sum(1), 1)
    assert len(STRENGTHS) == 17 and STRENGTHS[0] == 1e4 and STRENGTHS[-1] == 1e-4


def test_the_relation_of_what_is_told_apart_without_fail_is_finite():
    target = np.arange(20) % 2
    certain = np.eye(2)[target]
    relation = calibrated_relation((certain, target), (certain, target), 2)
    np.testing.assert_allclose(relation, np.eye(2), atol=0.01)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_the_term_is_that_of_the_paper(kind, tmp_path):
    strategy = CoTuning(weight=0.6, source_scale=0.9)
    task = built(tmp_path, strategy, kind=kind)
    source = timm.create_model("cifar_resnet20", num_classes=10)
    source.load_state_dict(torch.load(source_file(tmp_path), weights_only=True))
    source = source.double().eval()
    data, said = TinyDataModule(kind, train=24, other=12), {}
    samples = data.samples
    for split in ("train", "val"):
        rows = samples.rows(split)
        images = task.normalise(torch.from_numpy(data.images[rows])[:, None])
        truth = samples.targets[rows].reshape(len(rows)).astype(int)
        said[split] = (source(images).detach() * 0.9).softmax(1).numpy(), truth
    expected = calibrated_relation(said["train"], said["val"], len(task.class_names))
    np.testing.assert_allclose(strategy.relation.numpy(), expected, rtol=1e-4, atol=1e-6)

    batch = a_batch(task)
    found = term(task, batch)
    features = task.network.forward_head(task.network.forward_features(batch["image"]), pre_logits=True)
    logs = task.network.source_head(features).log_softmax(1)
    by_hand = 0.0
    for image, target in enumerate(batch["target"].flatten()[:-1]):  # nobody knows the class of the last
        by_hand -= 0.6 * (strategy.relation[int(target)] * logs[image]).sum() / len(logs)
    torch.testing.assert_close(found, by_hand, rtol=1e-10, atol=0)


def test_whole_life(tmp_path):
    task = check_whole_life(tmp_path, CoTuning)
    assert task.transfer.strategies[0].relation.shape == (2, 10)


def test_several_labels_are_refused(tmp_path):
    refused(tmp_path, CoTuning(), "these targets are multilabel", kind="multilabel")
    refused(tmp_path, CoTuning(), "here is none", pretrained=False)
