"""Losses of masks, against MONAI's where nothing is ignored, and against each other where something is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import DiceLoss, FocalLoss, TverskyLoss
from torch.nn import functional as F

from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE
from transfusion_cli.tasks.mask_losses import SMOOTH, MaskLoss, membership


def mean(loss, logits, target):
    total, weight = loss(logits, target)
    return total / weight


@pytest.fixture(params=[(6, 5), (4, 5, 6)], ids=["2-D", "3-D"])
def batch(request):
    torch.manual_seed(0)
    logits = torch.randn(3, 3, *request.param, dtype=torch.float64)
    return logits, torch.randint(0, 3, (3, *request.param), dtype=torch.uint8)


def one_hot(target, classes=3):
    return F.one_hot(target.long(), classes).movedim(-1, 1).double()


@pytest.mark.parametrize("batch_dice", [False, True])
def test_dice_is_monais(batch, batch_dice):
    logits, target = batch
    theirs = DiceLoss(include_background=False, softmax=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH, batch=batch_dice)(
        logits, one_hot(target)
    )
    ours = mean(MaskLoss("mask", 2, terms=["dice"], batch_dice=batch_dice), logits, target)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_tversky_is_monais(batch):
    logits, target = batch
    theirs = TverskyLoss(
        include_background=False, softmax=True, alpha=0.3, beta=0.7, smooth_nr=SMOOTH / 2, smooth_dr=SMOOTH / 2
    )(logits, one_hot(target))
    ours = mean(MaskLoss("mask", 2, terms=["tversky"], tversky_beta=0.7), logits, target)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_is_monais(batch, gamma):
    logits, target = batch
    theirs = FocalLoss(use_softmax=True, gamma=gamma, reduction="none")(logits, one_hot(target)).sum(1).mean()
    ours = mean(MaskLoss("mask", 2, terms=["focal"], focal_gamma=gamma), logits, target)
    torch.testing.assert_close(ours.float(), theirs)  # theirs is in single precision


def test_cross_entropy_is_torchs(batch):
    logits, target = batch
    weights = [0.2, 1.0, 3.0]
    each = [
        F.cross_entropy(logits[i : i + 1], target[i : i + 1].long(), weight=torch.tensor(weights).double())
        for i in range(3)
    ]
    loss = MaskLoss("mask", 2, terms=["cross_entropy"], class_weights=weights).double()
    torch.testing.assert_close(mean(loss, logits, target), torch.stack(each).mean())


def test_regions_are_questions_of_their_own(batch):
    logits, target = batch
    regions = [[1, 2], [2]]
    truth = torch.stack([(target == 1) | (target == 2), target == 2], dim=1).double()
    ours = mean(MaskLoss("regions", 2, regions, ["dice", "cross_entropy"]), logits[:, :2], target)
    entropy = F.binary_cross_entropy_with_logits(logits[:, :2], truth)
    dice = DiceLoss(sigmoid=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH)(logits[:, :2], truth)
    torch.testing.assert_close(ours, entropy + dice, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("terms", [["dice", "cross_entropy"], ["focal"], ["tversky"]])
@pytest.mark.parametrize("target_kind", ["mask", "regions"])
def test_what_is_ignored_has_no_say(batch, terms, target_kind):
    logits, target = batch
    logits = logits[:, : 3 if target_kind == "mask" else 2].clone().requires_grad_()
    target = target.clone()
    target[:, 2:] = IGNORE
    target[2] = IGNORE  # a sample of which nothing is known
    loss = MaskLoss(target_kind, 2, terms=terms)
    total, weight = loss(logits, target)
    assert weight == 2
    total.backward()
    assert not logits.grad[:, :, 2:].any() and not logits.grad[2].any() and logits.grad[:2, :, :2].any()
    cut, _ = loss(logits[:2, :, :2], target[:2, :2])
    torch.testing.assert_close(total, cut)


@given(cut=st.integers(1, 5), terms=st.sampled_from([("dice", "cross_entropy"), ("focal", "tversky")]))
@settings(deadline=None)
def test_sums_of_parts_make_the_loss_of_the_whole(cut, terms):
    torch.manual_seed(cut)
    logits, target = torch.randn(1, 3, 6, 7).double(), torch.randint(0, 3, (1, 6, 7), dtype=torch.uint8)
    target[0, 3] = IGNORE
    loss = MaskLoss("mask", 2, terms=terms)
    above, below = loss.sums(logits[:, :, :cut], target[:, :cut]), loss.sums(logits[:, :, cut:], target[:, cut:])
    parts = {name: above[name] + below[name] for name in above}
    torch.testing.assert_close(loss.value(parts), loss.value(loss.sums(logits, target)))


def test_a_class_that_is_nowhere_costs_nothing():
    logits = torch.zeros(1, 2, 4, 4)
    logits[:, 0] = 50
    total, _ = MaskLoss("mask", 1, terms=["dice"])(logits, torch.zeros(1, 4, 4, dtype=torch.uint8))
    assert total.abs() < 1e-4


def test_coarser_outputs_count_half_as_much(batch):
    logits, target = batch
    loss = MaskLoss("mask", 2)
    coarse = F.avg_pool2d(logits, 2) if logits.ndim == 4 else F.avg_pool3d(logits, 2)
    small = F.interpolate(target[:, None].float(), size=coarse.shape[2:], mode="nearest-exact")[:, 0].byte()
    together, weight = loss([logits, coarse], target)
    assert weight == 3
    torch.testing.assert_close(together, loss(logits, target)[0] * 2 / 3 + loss(coarse, small)[0] / 3)


@pytest.mark.parametrize("terms", [["dice", "cross_entropy"], ["focal"], ["tversky"]])
def test_gradients_are_finite_however_sure_the_network_is(terms):
    for scale in (0.0, 1e4):
        logits = (torch.tensor([[1.0, -1.0, 0.5]]).view(1, 3, 1, 1).expand(1, 3, 4, 4) * scale).requires_grad_()
        loss = MaskLoss("mask", 2, terms=terms, focal_gamma=0.5)
        total, _ = loss(logits, torch.randint(0, 3, (1, 4, 4), dtype=torch.uint8))
        (gradient,) = torch.autograd.grad(total, logits)
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "wrong", [{"terms": []}, {"class_weights": [1.0]}, {"focal_gamma": -1.0}, {"tversky_beta": 2.0}]
)
def test_mistakes_are_told(wrong):
    with pytest.raises(UserError):
        MaskLoss("mask", 2, **wrong)


def test_labels_of_regions():
    assert membership(2, [[1, 2], [2]])[:, :4].tolist() == [[False, True, True, False], [False, False, True, False]]
