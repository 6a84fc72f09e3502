"""The vessels of a phantom's retina: arteries and veins that leave the optic disc, bend around the fovea and branch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfusion_cli.phantoms.shapes import Array

STEP = 0.03
"""Length of a piece, in units of half of the image's side."""

THINNEST = 0.0055
"""Half of the width at which a vessel is followed no further: 0.7 pixels of 256."""

FOVEA_RADIUS = 0.13
"""Of the part around the fovea that has no vessels."""

_MOST = 4000
"""Pieces of a tree; a tree has about 1,000."""


@dataclass
class VesselTree:
    """Straight pieces of vessels (N,): begin, end, half of the width, and how dark the vessel is.

    Lengths are in units of half of the image's side, from its middle; x points to the temple.
    """

    begin: Array
    end: Array
    radius: Array
    contrast: Array

    @classmethod
    def grow(cls, rng: np.random.Generator, disc: Array, fovea: Array, width: float, tortuosity: float) -> VesselTree:
        """Grow a tree.

        Args:
            rng: all that is random.
            disc: where the vessels come from (2,), x and y.
            fovea: what they avoid (2,).
            width: half of the width of the main vessels.
            tortuosity: how much they wind.
        """
        stack = []
        for vertical in (-1, 1):  # up, down
            for temporal in (True, False):
                for vein in (True, False):
                    away = rng.normal(75 if temporal else 125, 10) + (6 if vein else -6)
                    # The large arcades bend around the fovea; those to the nose spread straight.
                    bend = rng.normal(-1.5, 0.2) if temporal else rng.normal(0.2, 0.3)
                    radius = width * (1.0 if temporal else 0.75) * (1.15 if vein else 0.9)
                    contrast = rng.uniform(0.75, 1.0) if vein else rng.uniform(0.5, 0.75)
                    angle = vertical * np.deg2rad(away)
                    stack.append((disc, angle, vertical * bend, radius * rng.uniform(0.85, 1.1), contrast))
        pieces: list[tuple[Array, Array, float, float]] = []
        while stack and len(pieces) < _MOST:
            place, angle, bend, radius, contrast = stack.pop(0)
            while radius > THINNEST and np.hypot(*place) < 1 and np.hypot(*(place - fovea)) > FOVEA_RADIUS:
                angle += STEP * bend + tortuosity * rng.normal(0, 0.12)
                bend *= 0.97
                ahead = place + STEP * np.array([np.cos(angle), np.sin(angle)])
                pieces.append((place, ahead, radius, contrast))
                place, radius = ahead, radius * 0.992
                if rng.random() < 0.055:
                    # The cubes of the widths add up (C. D. Murray 1926); the thinner branch turns away more.
                    share = rng.uniform(0.08, 0.5)
                    side = rng.choice((-1, 1))
                    turn = rng.uniform(0.5, 1.1)
                    thin = radius * share ** (1 / 3)
                    faint = contrast * rng.uniform(0.75, 1.0)
                    stack.append((place, angle + side * turn, rng.normal(0, 0.5), thin, faint))
                    angle, radius = angle - side * turn * share, radius * (1 - share) ** (1 / 3)
        begin, end, radii, contrasts = zip(*pieces, strict=True)
        return cls(np.stack(begin), np.stack(end), np.array(radii), np.array(contrasts))

    def draw(self, size: int) -> tuple[Array, Array]:
        """Draw the tree.

        Args:
            size: height and width in pixels.

        Returns:
            Which pixels' centres lie in a vessel, bool (size, size); how much light vessels take there, float32 in
            [0, 1], most in their middle.
        """
        inside = np.zeros((size, size), dtype=bool)
        taken = np.zeros((size, size), dtype=np.float32)
        begin, end = ((1 + points) * size / 2 - 0.5 for points in (self.begin, self.end))
        for a, b, radius, contrast in zip(begin, end, self.radius * size / 2, self.contrast, strict=True):
            low = np.maximum(np.floor(np.minimum(a, b) - radius), 0).astype(int)
            high = np.minimum(np.ceil(np.maximum(a, b) + radius) + 1, size).astype(int)
            if (high <= low).any():
                continue
            x, y = np.arange(low[0], high[0])[None, :] - a[0], np.arange(low[1], high[1])[:, None] - a[1]
            dx, dy = b - a
            along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
            off = ((x - along * dx) ** 2 + (y - along * dy) ** 2) / radius**2
            window = slice(low[1], high[1]), slice(low[0], high[0])
            inside[window] |= off <= 1
            # A cylinder of blood: light goes through less of it at the edge; thin ones take less in all.
            depth = contrast * min(1.0, 0.6 + 0.2 * radius) * np.sqrt(np.maximum(1.15 - off, 0) / 1.15)
            taken[window] = np.maximum(taken[window], depth)
        return inside, taken
