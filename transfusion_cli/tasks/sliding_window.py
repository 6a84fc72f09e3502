"""Logits of a whole image or volume from windows, in slabs: memory goes by the window, not by the volume."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class SlidingWindow:
    """Overlapping windows, whose logits are averaged with Gaussian weights, as nnU-Net does (Isensee et al. 2021).

    Windows are evenly spaced and none reaches over a border. Weights fall off from the middle of a window with a
    standard deviation of an eighth of its side.

    Args:
        size: sides of a window (dims,); an image that is smaller is one window.
        overlap: share of a window that the next one sees again, at least, in [0, 1).
        at_once: windows in a batch.
        mirror: average over all mirror images too, 4 in two dimensions and 8 in three.
    """

    size: tuple[int, ...]
    overlap: float = 0.5
    at_once: int = 4
    mirror: bool = False

    def slabs(self, image: Tensor, network: Callable[[Tensor], Tensor], device: torch.device) -> Iterator[Tensor]:
        """Logits (outputs, n, *S[1:]), slab after slab along the first axis, on ``device``.

        Args:
            image: (C, *S), as it was read.
            network: logits (B, outputs, *P) of windows (B, C, *P) of it.
            device: where the network is.
        """
        shape = image.shape[1:]
        size = [min(wanted, side) for wanted, side in zip(self.size, shape, strict=True)]
        starts = [spaced(side, length, self.overlap) for side, length in zip(shape, size, strict=True)]
        weight = gaussian(size).to(device)
        total: Tensor | None = None
        norm = torch.zeros(size[0], *shape[1:], device=device)
        first = 0
        for depth in starts[0]:
            if total is not None and depth > first:  # nothing more is coming for what lies before this row of windows
                done = depth - first
                yield total[:, :done] / norm[:done]
                total, norm = _shift(total, done, 1), _shift(norm, done, 0)
                first = depth
            places = list(product(*starts[1:]))
            for number in range(0, len(places), self.at_once):
                group = places[number : number + self.at_once]
                parts = [
                    (slice(None), *(slice(at, at + n) for at, n in zip((depth, *rest), size, strict=True)))
                    for rest in group
                ]
                windows = torch.stack([image[part] for part in parts]).to(device)
                logits = self._mirrored(network, windows).float()
                if total is None:
                    total = logits.new_zeros(logits.shape[1], *norm.shape)
                for part, own in zip(parts, logits, strict=True):
                    place = (slice(0, size[0]), *part[2:])
                    total[(slice(None), *place)] += own * weight
                    norm[place] += weight
        assert total is not None
        yield total / norm

    def _mirrored(self, network: Callable[[Tensor], Tensor], windows: Tensor) -> Tensor:
        logits = network(windows)
        if not self.mirror:
            return logits
        axes = range(2, windows.ndim)
        flips = [flip for number in range(1, len(axes) + 1) for flip in combinations(axes, number)]
        for flip in flips:
            logits = logits + network(windows.flip(flip)).flip(flip)
        return logits / (len(flips) + 1)


def spaced(side: int, size: int, overlap: float) -> list[int]:
    """Begins of the windows along one axis: as few as overlap so far, at equal distances."""
    step = max(1, int(size * (1 - overlap)))
    number = -(-(side - size) // step) + 1
    return [round(place) for place in torch.linspace(0, side - size, number).tolist()]


def gaussian(size: Sequence[int]) -> Tensor:
    """Weights of a window (*size), 1 in the middle; positive everywhere."""
    weight = torch.ones(())
    for side in size:
        place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (place / (side / 8)) ** 2)
    return weight.float().clamp_min(torch.finfo(torch.float32).tiny)


def resampled(slabs: Iterator[Tensor], length: int, size: Sequence[int]) -> Iterator[Tensor]:
    """Slabs of logits at another size, linearly between voxels, whose corners stay corners.

    Args:
        slabs: (outputs, n, *S[1:]), one after the other along the first axis.
        length: of that axis, over all slabs.
        size: what S is to become.

    Yields:
        (outputs, m, *size[1:]).
    """
    held: Tensor | None = None
    begin = written = 0  # place of the first slice that is held, and how many slices were given
    for slab in slabs:
        held = slab if held is None else torch.cat([held, slab], dim=1)
        if slab.shape[2:] == tuple(size[1:]) and length == size[0]:
            yield held
            held = None
            continue
        there = begin + held.shape[1]
        at = ((torch.arange(written, size[0], dtype=torch.float64) + 0.5) * length / size[0] - 0.5).clamp(0, length - 1)
        ready = int((at.floor() + 1 < there).sum()) if there < length else len(at)
        if ready:
            at = at[:ready]
            low = at.floor().long()
            share = (at - low).to(held).view(1, -1, *[1] * (held.ndim - 2))
            below, above = held[:, low - begin], held[:, (low + 1).clamp_max(length - 1) - begin]
            yield _across(torch.lerp(below, above, share), size[1:])
            written += ready
        # The slice below the next one to be written is the last that is needed.
        keep = max(0, min(int((written + 0.5) * length / size[0] - 0.5), there - 1) - begin)
        held, begin = held[:, keep:], begin + keep


def _across(slab: Tensor, size: Sequence[int]) -> Tensor:
    """A slab (outputs, n, *S) whose other axes are resampled."""
    if slab.shape[2:] == tuple(size):
        return slab
    mode = "linear" if len(size) == 1 else "bilinear"
    return F.interpolate(slab.movedim(1, 0), size=tuple(size), mode=mode, align_corners=False).movedim(0, 1)


def _shift(held: Tensor, number: int, axis: int) -> Tensor:
    """Leave out the first slices, with as many of zeros at the end."""
    kept = held.narrow(axis, number, held.shape[axis] - number)
    return torch.cat([kept, torch.zeros_like(held.narrow(axis, 0, number))], dim=axis)
