"""Computed tomographies of phantom abdomens, with the liver and its lesions as masks."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy import fft

from transfusion_cli.phantoms.shapes import Array, edge

ORGANS = ["liver", "lesion"]
"""Labels of the mask from 1 on."""


class AbdomenPhantom:
    """The abdomen of one phantom patient, a function of seed and patient.

    The array's axes run to the top, to the back and to the patient's left, as those of all volumes here. Places are
    given in millimetres from the middle to the top, the front and the right. Liver and lesions have to be told by where
    and how they lie: the spleen is as bright as the liver, cysts of the kidneys are as dark as lesions, and the
    contrast differs from patient to patient.

    Args:
        seed: number of the population.
        patient: number of the patient in the population.
        shape: voxels along each axis.
    """

    def __init__(self, seed: int, patient: int, shape: tuple[int, int, int]) -> None:
        self.numbers, self.shape = (seed, patient), shape
        rng = np.random.default_rng(self.numbers)
        # The field of view goes with the patient's size, thick slices are a matter of the protocol.
        size = float(np.clip(rng.normal(1.0, 0.07), 0.85, 1.15))
        slices = float(rng.choice([1.0, 1.25, 1.5])) * 240 / shape[0]
        plane = 330 * size * float(rng.uniform(0.95, 1.1)) / max(shape[1:])
        self.spacing = np.round([slices, plane, plane], 3)
        """Millimetres from voxel to voxel (3,)."""
        self.half_width, self.half_depth = 150 * size, 105 * size * float(rng.uniform(0.92, 1.08))
        self.fat = float(rng.uniform(0.06, 0.22))
        self.liver_value = float(rng.normal(105, 14))
        self.spleen_value = self.liver_value + float(rng.normal(5, 15))
        self.noise = float(rng.uniform(10, 24))
        self.number_of_lesions = int(rng.integers(1, 5)) if rng.random() < 0.7 else 0

    def draw(self) -> tuple[Array, Array]:
        """Image int16 (D, H, W), in Hounsfield units, and mask uint8 (D, H, W), 0 where there is none of ``ORGANS``."""
        rng = np.random.default_rng([*self.numbers, 1])
        values = self._body(rng)
        self._place(values, self._ellipsoid(rng, (35, -30, -92), (48, 34, 24), 0.15), self.spleen_value)
        self._place_kidneys(values, rng)
        self._place_stomach(values, rng)
        liver = np.maximum(
            self._ellipsoid(rng, (30, 5, 68), (78, 68, 58), 0.22), self._ellipsoid(rng, (48, 38, 8), (36, 30, 66), 0.22)
        )
        liver = np.minimum(liver, self.half_depth * (0.95 - self.fat - self._rim))
        self._place(values, liver, self.liver_value)
        self._place_vessels(values, liver, rng)
        mask = (liver > 0).astype(np.uint8)
        for lesion, value in self._lesions(liver, rng):
            self._place(values, np.minimum(lesion, liver), value)
            mask[(lesion > 0) & (liver > 0)] = 2
        return self._scan(values, rng), mask

    @cached_property
    def _axes(self) -> list[Array]:
        """Millimetres to the top, the front and the right, to be broadcast."""
        steps = self.spacing * (1, -1, -1)
        grid = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(self.shape, steps, strict=True)]
        return list(np.ix_(*(axis.astype(np.float32) for axis in grid)))

    @cached_property
    def _rim(self) -> Array:
        """1 at the skin, 0 in the middle."""
        _, y, x = self._axes
        return np.asarray(np.hypot(x / self.half_width, y / self.half_depth) + 0 * self._axes[0])

    @cached_property
    def _frequency(self) -> Array:
        """Radians per millimetre, as the Fourier transform of real numbers orders them."""
        ends = [fft.fftfreq, fft.fftfreq, fft.rfftfreq]
        z, y, x = np.ix_(*(end(n, step) for end, n, step in zip(ends, self.shape, self.spacing, strict=True)))
        return np.asarray((2 * np.pi * np.sqrt(z**2 + y**2 + x**2)).astype(np.float32))

    def _field(self, rng: np.random.Generator, length: float) -> Array:
        """Noise of unit variance that is smooth over a length: white noise through a Gaussian, around the borders."""
        white = fft.rfftn(rng.standard_normal(self.shape, np.float32))
        smooth = fft.irfftn(white * np.exp(-0.5 * (length * self._frequency) ** 2), s=self.shape)
        return np.asarray(smooth / smooth.std())

    def _ellipsoid(
        self, rng: np.random.Generator, centre: tuple[float, ...], half: tuple[float, ...], unrest: float
    ) -> Array:
        """About the distance to the surface of a deformed ellipsoid, positive inside."""
        moved, sized = np.array(centre) + rng.normal(0, 6, 3), np.array(half) * rng.normal(1, 0.08, 3)
        parts = [((axis - c) / h) ** 2 for axis, c, h in zip(self._axes, moved, sized, strict=True)]
        radius = np.sqrt(parts[0] + parts[1] + parts[2])
        return np.asarray((1 - radius + unrest * self._field(rng, 0.5 * float(sized.min()))) * float(sized.min()))

    def _place(self, values: Array, distance: Array, value: float) -> None:
        """Put tissue into the body, with the voxels at its surface in between."""
        share = edge(distance, float(self.spacing.mean()))
        values += share * (value - values)

    def _body(self, rng: np.random.Generator) -> Array:
        """Skin, fat and muscle around bowels, spine and aorta."""
        _, y, x = self._axes
        depth = 60 * (1 - self._rim)
        bowels = np.where(self._field(rng, 9) > 0.3, rng.uniform(25, 60), -95)
        values = np.where(self._rim < 1 - self.fat - 0.07, bowels, 55.0)
        values = np.where(self._rim > 1 - self.fat, -100.0, values).astype(np.float32)
        level = 0 * self._axes[0]
        self._place(values, 19 - np.hypot(x, y + 0.62 * self.half_depth) + level, rng.uniform(180, 320))
        self._place(values, 10 - np.hypot(x + 12, y + 0.3 * self.half_depth) + level, self.liver_value + 60)
        values += edge(-depth, float(self.spacing.mean())) * (-1000 - values)
        return values

    def _place_kidneys(self, values: Array, rng: np.random.Generator) -> None:
        for side in (-1, 1):
            place = np.array([-45.0, -38.0, 62.0 * side])
            self._place(values, self._ellipsoid(rng, tuple(place), (48, 25, 24), 0.1), self.liver_value + 45)
            if rng.random() < 0.4:
                cyst = place + rng.normal(0, 12, 3)
                half = float(rng.uniform(9, 18))
                self._place(values, self._ellipsoid(rng, tuple(cyst), (half, half, half), 0.05), 10)

    def _place_stomach(self, values: Array, rng: np.random.Generator) -> None:
        """Water, and gas in front, where it rises to as the patient lies on the back."""
        stomach = self._ellipsoid(rng, (45, 22, -52), (42, 36, 34), 0.15)
        self._place(values, stomach, rng.uniform(0, 40))
        self._place(values, np.minimum(stomach - 4, self._axes[1] - rng.uniform(10, 45)), -900)

    def _place_vessels(self, values: Array, liver: Array, rng: np.random.Generator) -> None:
        """Veins in the liver, bright: the lines in which two smooth fields are zero."""
        veins = 6 - 20 * np.hypot(self._field(rng, 16), self._field(rng, 24))
        self._place(values, np.minimum(veins, liver - 8), self.liver_value + float(rng.uniform(15, 35)))

    def _lesions(self, liver: Array, rng: np.random.Generator) -> list[tuple[Array, float]]:
        """Distance and value of each lesion, which is darker than the liver."""
        inside = np.argwhere(liver > 10)
        found = []
        for _ in range(self.number_of_lesions if len(inside) else 0):
            voxel = inside[rng.integers(len(inside))]
            centre = tuple(float(axis.flat[i]) for axis, i in zip(self._axes, voxel, strict=True))
            half = tuple(float(rng.uniform(11, 24)) * rng.uniform(0.85, 1.15, 3))
            found.append((self._ellipsoid(rng, centre, half, 0.18), self.liver_value - float(rng.uniform(50, 95))))
        return found

    def _scan(self, values: Array, rng: np.random.Generator) -> Array:
        """Noise as a scanner makes it, in part smooth."""
        noise = 0.8 * rng.standard_normal(self.shape, np.float32) + 0.6 * self._field(rng, 5)
        return np.asarray((values + self.noise * noise).round().astype(np.int16))
