"""First-layer filters."""

import pytest
import torch
from support.networks import randomised

from transfusion_cli.analysis.filters import chance_likeness, gabor_likeness, grey_filters, mosaic, stretched
from transfusion_cli.models.gabor import gabor_bank


def test_gabor_filters_are_like_gabor_filters():
    bank = gabor_bank(64, (7, 7)).float()
    assert torch.allclose(gabor_likeness(bank), torch.ones(64, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(gabor_likeness(2 - 5 * bank), torch.ones(64, dtype=torch.float64), atol=1e-6)
    noise = torch.randn(500, 7, 7, generator=torch.Generator().manual_seed(3))
    assert gabor_likeness(noise).mean() == pytest.approx(chance_likeness(7, 7), abs=0.02)
    assert chance_likeness(7, 7) < 0.5
    assert gabor_likeness(torch.ones(2, 7, 7)).tolist() == [0, 0]


def test_filters_are_grey_and_stretched():
    network = randomised()
    network.conv1.weight.data[0] = 0.25
    grey = grey_filters(network)
    assert grey.shape == (16, 3, 3)
    shown = stretched(grey)
    assert (shown[0] == 0.5).all(), "a constant filter"
    assert (shown[1:].amin((1, 2)) == 0).all() and (shown[1:].amax((1, 2)) == 1).all()


def test_mosaic_has_every_image_in_its_place():
    images = torch.linspace(0, 0.9, 5).view(5, 1, 1).expand(5, 7, 7)
    sheet = mosaic(images, 3)
    assert sheet.shape == (2 * 14 + 2, 3 * 14 + 2 * 2), "enlarged twice, lines of two pixels"
    assert sheet[0, 0] == images[0, 0, 0] and sheet[16, 16] == images[4, 0, 0]
    assert sheet[16, 32] == 1 and sheet[14, 0] == 1, "free places and lines are white"
