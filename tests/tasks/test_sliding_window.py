"""Windows over whole images, against MONAI's and against the network on the whole."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from transfusion_cli.tasks import sliding_window as module
from transfusion_cli.tasks.sliding_window import SlidingWindow, gaussian, resampled, spaced

CPU = torch.device("cpu")


def whole(window, image, network):
    return torch.cat(list(window.slabs(image, network, CPU)), dim=1)


@given(side=st.integers(1, 90), size=st.integers(1, 40), overlap=st.floats(0, 0.9))
@settings(deadline=None)
def test_windows_cover_an_axis_and_overlap_as_asked(side, size, overlap):
    size = min(side, size)
    starts = spaced(side, size, overlap)
    assert starts[0] == 0 and starts[-1] == side - size and starts == sorted(starts)
    step = max(1, int(size * (1 - overlap)))
    assert all(b - a <= step + 1 for a, b in pairwise(starts))


@pytest.mark.parametrize("shape", [(40, 56), (7, 9), (24, 20, 28)])
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_pointwise_network_gives_what_it_gives_of_the_whole(shape, at_once):
    torch.manual_seed(0)
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[len(shape)](2, 3, 1)
    image = torch.randn(2, *shape)
    found = whole(SlidingWindow((16,) * len(shape), at_once=at_once, mirror=True), image, convolution)
    torch.testing.assert_close(found, convolution(image[None])[0])


@pytest.mark.parametrize("shape", [(40, 56), (24, 20, 24)])
def test_weighted_means_are_those_of_monai(shape, monkeypatch):
    from monai.inferers import sliding_window_inference

    # MONAI lifts all weights below a thousandth; nnU-Net and this program only those that are zero.
    monkeypatch.setattr(module, "gaussian", lambda size: gaussian(size).clamp_min(1e-3))
    torch.manual_seed(0)
    dims = len(shape)
    network = {2: nn.Conv2d, 3: nn.Conv3d}[dims](1, 2, 5, padding=2)  # its margins make windows differ
    image = torch.randn(1, *shape)
    sizes = (16, 8, 12)[:dims]
    found = whole(SlidingWindow(sizes, overlap=0.5), image, network)
    # MONAI places windows at multiples of half a window; these shapes have them at equal distances too.
    theirs = sliding_window_inference(image[None], sizes, 4, network, overlap=0.5, mode="gaussian", sigma_scale=0.125)
    torch.testing.assert_close(found, theirs[0], atol=1e-5, rtol=1e-5)


def test_memory_goes_by_the_window():
    slabs = SlidingWindow((8, 16, 16)).slabs(torch.rand(1, 64, 32, 32), lambda windows: windows[:, :1], CPU)
    seen = [slab.shape[1] for slab in slabs]
    assert sum(seen) == 64 and max(seen) <= 8


@pytest.mark.parametrize("mirror", [False, True])
def test_mirror_images_are_averaged(mirror):
    def network(windows):  # sees where left is
        return windows * torch.linspace(0, 1, windows.shape[-1])

    image = torch.ones(1, 8, 8)
    found = whole(SlidingWindow((8, 8), mirror=mirror), image, network)
    expected = torch.full((8,), 0.5) if mirror else torch.linspace(0, 1, 8)
    torch.testing.assert_close(found[0, 0], expected)


def test_every_voxel_has_weight():
    assert gaussian((64, 64, 64)).min() > 0 and gaussian((9, 9))[4, 4] == 1


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    size=st.tuples(*[st.integers(1, 20)] * 3),
    cuts=st.lists(st.integers(1, 5), min_size=1),
    dims=st.sampled_from([2, 3]),
)
@settings(deadline=None, max_examples=200)
def test_slabs_are_resampled_as_the_whole_is(shape, size, cuts, dims):
    shape, size = shape[:dims], size[:dims]
    image = torch.randn(2, *shape)
    slabs, at = [], 0
    while at < shape[0]:
        step = cuts[len(slabs) % len(cuts)]
        slabs.append(image[:, at : at + step])
        at += step
    found = torch.cat(list(resampled(iter(slabs), shape[0], size)), dim=1)
    mode = {2: "bilinear", 3: "trilinear"}[dims]
    expected = F.interpolate(image[None], size=size, mode=mode, align_corners=False)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
