"""Photographs of phantom patients' retinas: pigment, light and camera, deterministic from seed, patient and eye."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transfusion_cli.phantoms.shapes import Array, blur, edge, fractal_noise
from transfusion_cli.phantoms.vessels import VesselTree

FIELD = 0.94
"""Radius of the field of view in units of half of the image's side."""

EYES = ("left", "right")


class Drawn(NamedTuple):
    """A photograph and what is known of it.

    Args:
        image: uint8 (size, size, 3).
        vessels: which pixels are vessels, bool (size, size).
        field: which pixels show the retina, bool (size, size).
    """

    image: Array
    vessels: Array
    field: Array


class PhantomRetina:
    """One eye of one phantom patient, a function of three numbers.

    A patient's eyes share pigment and the width and winding of vessels; course of vessels, light and noise differ.

    Args:
        seed: number of the population.
        patient: number of the patient in the population.
        eye: 0 for the left one, 1 for the right one.
    """

    def __init__(self, seed: int, patient: int, eye: int) -> None:
        rng = np.random.default_rng([seed, patient, 0, 1])
        self.pigment = np.array([205, 105, 50]) * rng.uniform([0.8, 0.75, 0.6], [1.1, 1.25, 1.5])
        self.width, self.tortuosity = rng.uniform(0.016, 0.022), rng.uniform(0.5, 1.5)
        self.contrast = rng.uniform(0.35, 0.6)
        self.bleeds = rng.poisson(4) if rng.random() < 0.5 else 0
        self.numbers, self.eye = (seed, patient, 1 + eye), eye

    def draw(self, size: int) -> Drawn:
        """Draw the eye at a size in pixels."""
        rng = np.random.default_rng([*self.numbers, 2])
        disc = np.array([-0.45, 0.0]) + rng.normal(0, 0.04, 2)
        fovea = disc + np.array([0.62, 0.05]) + rng.normal(0, 0.03, 2)
        tree = VesselTree.grow(rng, disc, fovea, self.width, self.tortuosity)
        vessels, taken = tree.draw(size)
        axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
        x, y = np.broadcast_to(axis[None, :], (size, size)), np.broadcast_to(axis[:, None], (size, size))
        field = np.hypot(x, y) <= FIELD
        image = self._light(x, y, rng, size)[..., None] * self._ground(x, y, disc, fovea, rng, size)
        # Blood takes green and blue light, and little of the red.
        shade = np.maximum(taken, self._bleeding(x, y, rng))
        image = image * (1 - self.contrast * blur(shade, 0.0022 * size)[..., None] * np.array([0.5, 1.0, 0.8]))
        image = np.stack([blur(channel, 0.0025 * size) for channel in np.moveaxis(image, 2, 0)], axis=2)
        noise = rng.uniform(3, 7) * rng.standard_normal((size, size, 3)) * np.array([1.0, 1.0, 1.3])
        image = np.where(field[..., None], image + noise, 4 + noise / 4)
        drawn = np.clip(image, 0, 255).round().astype(np.uint8), vessels & field, field
        # In a photograph the temple is on the left of a right eye.
        return Drawn(*(np.ascontiguousarray(array[:, ::-1]) if self.eye else array for array in drawn))

    def _ground(self, x: Array, y: Array, disc: Array, fovea: Array, rng: np.random.Generator, size: int) -> Array:
        """What lies behind the vessels: choroid, the dark fovea, the bright disc with its cup."""
        streaks = 0.07 * fractal_noise(rng, size, 1.2) + 0.04 * fractal_noise(rng, size, 0.7)
        dark = 0.35 * np.exp(-((x - fovea[0]) ** 2 + (y - fovea[1]) ** 2) / (2 * 0.11**2))
        ground = (1 + streaks - dark)[..., None] * self.pigment
        distance = np.hypot(x - disc[0], (y - disc[1]) / 1.1)
        bright = edge(0.15 - distance, 0.04) + 0.5 * edge(rng.uniform(0.05, 0.09) - distance, 0.03)
        return np.asarray(ground + bright[..., None] * np.array([35, 75, 55]))

    def _light(self, x: Array, y: Array, rng: np.random.Generator, size: int) -> Array:
        """The flash is off centre and falls off to the rim."""
        off = rng.normal(0, 0.2, 2)
        fall = 1 - rng.uniform(0.15, 0.4) * ((x - off[0]) ** 2 + (y - off[1]) ** 2)
        return np.asarray(np.clip(fall, 0.45, None) * (1 + 0.05 * fractal_noise(rng, size, 2.5)))

    def _bleeding(self, x: Array, y: Array, rng: np.random.Generator) -> Array:
        """Small haemorrhages, which are as dark as vessels and are none."""
        shade = np.zeros_like(x)
        for place in rng.uniform(-0.7, 0.7, (self.bleeds, 2)):
            radius = rng.uniform(0.012, 0.04)
            wave = 1 + 0.3 * np.sin(3 * np.arctan2(y - place[1], x - place[0]) + rng.uniform(0, 6))
            shade = np.maximum(shade, 0.8 * edge(radius * wave - np.hypot(x - place[0], y - place[1]), 0.015))
        return shade
