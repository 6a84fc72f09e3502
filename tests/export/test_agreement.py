"""Files that give something else are refused."""

import pytest
import torch

from transfusion_cli.errors import UserError
from transfusion_cli.export.agreement import Reference

LOGITS = torch.tensor([[0.5], [-0.25]])
CHANCES = LOGITS.double().sigmoid()
REFERENCE = Reference(torch.zeros(2, 1, 4, 4), LOGITS, CHANCES, "val")


def test_the_same_agrees():
    assert REFERENCE.agree(LOGITS.numpy(), CHANCES.numpy()) == 0
    assert REFERENCE.agree(LOGITS + 9e-6) == pytest.approx(9e-6, rel=0.05)


@pytest.mark.parametrize(
    "wrong", [LOGITS + 1.2e-5, LOGITS.flip(0), LOGITS * torch.nan, LOGITS[:1], LOGITS.expand(2, 2)], ids=str
)
def test_other_logits_do_not(wrong):
    with pytest.raises(UserError, match="other logits than the run"):
        REFERENCE.agree(wrong, CHANCES)


def test_nor_do_other_probabilities():
    with pytest.raises(UserError, match="other probabilities than the run"):
        REFERENCE.agree(LOGITS, CHANCES + 1.2e-5)


def test_large_logits_are_measured_by_the_largest():
    large = Reference(REFERENCE.images, 100 * LOGITS, CHANCES, None)
    assert large.agree(100 * LOGITS + 4e-4) == pytest.approx(8e-6, rel=0.1)
    with pytest.raises(UserError):
        large.agree(100 * LOGITS + 6e-4)


def test_the_images_are_told():
    assert REFERENCE.told == "2 images of the run's val split"
    assert Reference(REFERENCE.images, LOGITS, CHANCES, None).told == "2 random images"
    assert len(REFERENCE.first(1).images) == len(REFERENCE.first(1).logits) == 1
