"""The loss against torch's own and against definitions."""

import pytest
import torch
from torch.nn import functional as F

from transfusion_cli.tasks.losses import ClassificationLoss, balanced_weights

torch.manual_seed(0)
LOGITS = torch.randn(12, 4, dtype=torch.float32)
CLASSES = torch.randint(0, 4, (12,))
LABELS = torch.randint(0, 2, (12, 4)).float()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_multiclass_is_cross_entropy(smoothing):
    loss = ClassificationLoss("multiclass", label_smoothing=smoothing).mean(LOGITS, CLASSES)
    torch.testing.assert_close(loss, F.cross_entropy(LOGITS, CLASSES, label_smoothing=smoothing))


def test_class_weights_are_torchs():
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    loss = ClassificationLoss("multiclass", weights).mean(LOGITS, CLASSES)
    torch.testing.assert_close(loss, F.cross_entropy(LOGITS, CLASSES, weight=weights))


def test_pos_weight_is_torchs():
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    loss = ClassificationLoss("multilabel", weights).mean(LOGITS, LABELS)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(LOGITS, LABELS, pos_weight=weights))


@pytest.mark.parametrize("target", ["multilabel", "multiclass", "ordinal"])
def test_unknown_labels_take_no_part(target):
    loss = ClassificationLoss(target)
    logits = LOGITS[:, :3] if target == "ordinal" else LOGITS
    targets = (LABELS if target == "multilabel" else CLASSES).clone()
    targets[:4] = float("nan") if target == "multilabel" else -1
    torch.testing.assert_close(loss.mean(logits, targets), loss.mean(logits[4:], targets[4:]))


def test_masked_labels_get_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    targets = LABELS.clone()
    targets[0, 0] = float("nan")
    ClassificationLoss("multilabel").mean(logits, targets).backward()
    assert logits.grad[0, 0] == 0 and (logits.grad.flatten()[1:] != 0).all()


def test_ordinal_is_the_likelihood_of_the_conditionals():
    # CORN: each sample contributes log P(y > k | y >= k) for every threshold k that it reaches.
    logits = LOGITS[:, :3]
    terms = []
    for row, y in zip(logits.sigmoid(), CLASSES.tolist(), strict=True):
        terms += [-torch.log(row[k] if y > k else 1 - row[k]) for k in range(3) if y >= k]
    loss = ClassificationLoss("ordinal").mean(logits, CLASSES)
    torch.testing.assert_close(loss, torch.stack(terms).mean())


@pytest.mark.parametrize("target", ["multilabel", "multiclass"])
def test_focal_loss_is_its_definition(target):
    gamma = 2.0
    targets = LABELS if target == "multilabel" else CLASSES
    if target == "multilabel":
        p = LOGITS.sigmoid()
        right = torch.where(targets > 0, p, 1 - p)
    else:
        right = LOGITS.softmax(1)[torch.arange(12), targets]
    expected = (-((1 - right) ** gamma) * right.log()).mean()
    torch.testing.assert_close(ClassificationLoss(target, focal_gamma=gamma).mean(LOGITS, targets), expected)


def test_soft_labels_are_taken_as_probabilities():
    soft = LABELS * 0.7 + 0.1
    loss = ClassificationLoss("multilabel").mean(LOGITS, soft)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(LOGITS, soft))


def test_sums_of_shards_give_the_loss_of_the_whole():
    targets = LABELS.clone()
    targets[:5, :2] = float("nan")
    loss = ClassificationLoss("multilabel", torch.tensor([1.0, 2.0, 3.0, 4.0]))
    shards = [loss(LOGITS[i::3], targets[i::3]) for i in range(3)]
    total, weight = (sum(parts) for parts in zip(*shards, strict=True))
    torch.testing.assert_close(total / weight, loss.mean(LOGITS, targets))


def test_balanced_weights():
    classes = torch.tensor([0, 0, 0, 1, -1])
    torch.testing.assert_close(balanced_weights("multiclass", classes, 3), torch.tensor([4 / 9, 4 / 3, 0.0]))
    targets = torch.tensor([[1, 0.0], [0, 0], [0, 0], [float("nan"), 0]])
    torch.testing.assert_close(balanced_weights("multilabel", targets, 2), torch.tensor([2.0, 1.0]))
