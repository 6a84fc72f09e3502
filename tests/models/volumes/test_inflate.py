"""Kernels in three dimensions against convolutions in two."""

import pytest
import torch
import torch.nn.functional as F

from transfusion_cli.models.volumes.inflate import inflate, redrawn


def test_centre_convolves_every_slice() -> None:
    kernel, x = torch.randn(5, 2, 3, 3), torch.randn(1, 2, 6, 7, 8)
    maps = F.conv3d(x, inflate(kernel, 3), padding=1)
    for i in range(6):
        assert torch.allclose(maps[:, :, i], F.conv2d(x[:, :, i], kernel, padding=1), atol=1e-5)


def test_mean_agrees_where_nothing_changes_in_depth() -> None:
    kernel, image = torch.randn(5, 2, 3, 3), torch.randn(1, 2, 7, 8)
    maps = F.conv3d(image.unsqueeze(2).expand(-1, -1, 6, -1, -1), inflate(kernel, 3, "mean"), padding=1)
    expected = F.conv2d(image, kernel, padding=1)
    assert torch.allclose(maps[:, :, 1:-1], expected.unsqueeze(2).expand(-1, -1, 4, -1, -1), atol=1e-5)
    assert torch.allclose(maps[:, :, 0], expected * 2 / 3, atol=1e-5)  # the end, where zeros come in


@pytest.mark.parametrize("groups", [1, 7])
def test_acs_convolves_a_third_in_each_plane(groups: int) -> None:
    kernel, x = torch.randn(7, 14 // groups, 3, 3), torch.randn(1, 14, 5, 6, 8)
    maps = F.conv3d(x, inflate(kernel, 3, "acs"), padding=1, groups=groups)
    axial, coronal, sagittal = slice(0, 3), slice(3, 5), slice(5, 7)  # what is left over goes to the first
    whole = {2: axial, 3: coronal, 4: sagittal}
    for axis, channels in whole.items():
        for i in range(x.shape[axis]):
            plane = F.conv2d(x.select(axis, i), kernel, padding=1, groups=groups)
            assert torch.allclose(maps.select(axis, i)[:, channels], plane[:, channels], atol=1e-5)


@pytest.mark.parametrize("mode", ["centre", "mean", "acs"])
def test_kernels_of_one_pixel_gain_an_axis(mode: str) -> None:
    kernel = torch.randn(4, 3, 1, 1)
    assert torch.equal(inflate(kernel, 1, mode), kernel.unsqueeze(2))


def test_redrawn_kernels_keep_the_spread_of_a_units_sum() -> None:
    kernel = torch.randn(64, 32, 3, 3) * 0.2
    assert redrawn(kernel, 3).square().mean().item() == pytest.approx(0.04 / 3, rel=0.05)
    assert not redrawn(torch.zeros(4, 3, 3, 3), 3).any() and redrawn(kernel[:1, :1, :1, :1], 1).isfinite().all()
