"""The loss against torch's own and against definitions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from transfusion_cli.errors import UserError
from transfusion_cli.targets import TARGETS
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


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_focal_loss_is_torchvisions(gamma, scale):
    expected = sigmoid_focal_loss(LOGITS * scale, LABELS, alpha=-1, gamma=gamma, reduction="mean")
    for target in ("multilabel", "binary"):
        loss = ClassificationLoss(target, focal_gamma=gamma).mean(LOGITS * scale, LABELS)
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    # Two classes are one label, whose logit is the difference of theirs; CORN is one label for each threshold.
    pairs = torch.stack([torch.zeros_like(LOGITS[:, 0]), LOGITS[:, 0] * scale], 1)
    one = sigmoid_focal_loss(LOGITS[:, 0] * scale, LABELS[:, 0], alpha=-1, gamma=gamma, reduction="mean")
    loss = ClassificationLoss("multiclass", focal_gamma=gamma).mean(pairs, LABELS[:, 0].long())
    torch.testing.assert_close(loss, one, rtol=1e-6, atol=1e-6)
    loss = ClassificationLoss("ordinal", focal_gamma=gamma).mean(LOGITS[:, :1] * scale, LABELS[:, 0].long())
    torch.testing.assert_close(loss, one, rtol=1e-6, atol=1e-6)


def test_focal_loss_of_soft_labels():
    soft = LABELS * 0.7 + 0.1
    p = LOGITS.sigmoid()
    expected = F.binary_cross_entropy_with_logits(LOGITS, soft, reduction="none") * (p + soft - 2 * p * soft) ** 1.5
    torch.testing.assert_close(ClassificationLoss("multilabel", focal_gamma=1.5).mean(LOGITS, soft), expected.mean())


LOGIT = st.floats(-1e4, 1e4, width=32) | st.sampled_from([0.0, 17.0, -17.0, 104.0, -104.0, 1e4, -1e4])


@settings(max_examples=200, deadline=None)
@given(
    target=st.sampled_from(TARGETS),
    rows=st.lists(st.tuples(LOGIT, LOGIT, LOGIT, st.integers(0, 2)), min_size=1, max_size=4),
    gamma=st.floats(0, 5),
    smoothing=st.sampled_from([0.0, 0.1]),
)
def test_gradients_are_finite_whatever_the_logits(target, rows, gamma, smoothing):
    """And they are those of the definition, taken in float64 with p and 1 - p apart."""
    check_gradients(target, rows, gamma, smoothing)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("gamma", [0.0, 1e-3, 0.5, 1.0, 5.0])
def test_gradients_are_finite_at_the_ends_of_float32(target, gamma):
    end = torch.finfo(torch.float32).max
    check_gradients(target, [(a, b, -a, k) for a in (-end, 0.0, end) for b in (-end, end) for k in range(3)], gamma, 0)


def check_gradients(target, rows, gamma, smoothing):
    logits = torch.tensor([row[:3] for row in rows], requires_grad=True)
    classes = torch.tensor([row[3] for row in rows])
    used = logits[:, :2] if target == "ordinal" else logits[:, :1] if target == "binary" else logits
    labels = {"binary": (classes[:, None] > 1).float(), "multilabel": F.one_hot(classes, 3).float()}
    loss, _ = ClassificationLoss(target, None, smoothing, gamma)(used, labels.get(target, classes))
    loss.backward()
    assert not loss.isnan() and logits.grad.isfinite().all()
    if target == "multilabel" and logits.abs().max() < 600:
        exact = logits.detach().double().requires_grad_()
        smooth = labels[target] * (1 - smoothing) + smoothing / 2
        entropy = F.binary_cross_entropy_with_logits(exact, smooth.double(), reduction="none")
        wrong = (exact * (1 - 2 * labels[target])).sigmoid()
        (entropy * wrong**gamma).sum().backward()
        torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [-1, -1e-9, float("nan"), float("inf")])
def test_exponents_that_are_none(gamma):
    with pytest.raises(UserError, match="focal_gamma is an exponent"):
        ClassificationLoss("binary", focal_gamma=gamma)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_shares_that_are_none(smoothing):
    with pytest.raises(UserError, match="label_smoothing is a share"):
        ClassificationLoss("binary", label_smoothing=smoothing)


@pytest.mark.parametrize("target", ["multiclass", "multilabel"])
def test_smoothing_spreads_its_share_over_all_classes_the_own_included(target):
    classes, answers = (4, F.one_hot(CLASSES, 4).float()) if target == "multiclass" else (2, LABELS)
    spread = answers * 0.9 + 0.1 / classes
    loss = ClassificationLoss(target, label_smoothing=0.1).mean(LOGITS, CLASSES if target == "multiclass" else LABELS)
    entropy = F.cross_entropy if target == "multiclass" else F.binary_cross_entropy_with_logits
    torch.testing.assert_close(loss, entropy(LOGITS, spread))


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
