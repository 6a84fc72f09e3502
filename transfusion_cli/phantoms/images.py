"""Chest radiographs of phantom patients: pose, exposure and detector, deterministic from seed, patient and image."""

from __future__ import annotations

import numpy as np

from transfusion_cli.phantoms.chest import ChestPhantom, View
from transfusion_cli.phantoms.patient import FINDINGS, PhantomPatient
from transfusion_cli.phantoms.shapes import Array, blur

VISIBILITY = 0.9
"""Share of the images of a patient with a finding that show it; else it is not yet there, or treated."""


class PhantomRadiograph:
    """One radiograph of one phantom patient, a function of three numbers.

    Args:
        seed: number of the population.
        patient: number of the patient in the population.
        image: number of the image of that patient.
    """

    def __init__(self, seed: int, patient: int, image: int) -> None:
        self.patient = PhantomPatient.draw(seed, patient)
        # numpy takes [seed, patient] and [seed, patient, 0] for the same seed, hence images from 1.
        self.numbers = (seed, patient, image + 1)
        rng, illness = np.random.default_rng(self.numbers), self.patient.illness
        # The very ill are imaged lying in bed: the heart, farther from the film, looks larger, they breathe in less,
        # wear leads, and the mobile unit gives fewer photons.
        self.bedside = bool(rng.random() < 1 / (1 + np.exp(1.2 - illness)))
        shows = rng.random(len(FINDINGS)) < VISIBILITY
        changes = rng.normal(0, 0.08, len(FINDINGS))
        severity = {
            name: float(np.clip(self.patient.severity[name] + change, 0, 1))
            for name, shown, change in zip(FINDINGS, shows, changes, strict=True)
            if shown and name in self.patient.severity
        }
        leads = rng.random() < (0.6 if self.bedside else 0.05)
        self.view = View(
            severity=severity,
            rotation=rng.normal(0, 0.04),
            zoom=float(np.exp(rng.normal(0, 0.04))),
            shift=(rng.normal(0, 0.04), rng.normal(0, 0.04)),
            breath=rng.normal(-0.06 if self.bedside else 0.0, 0.03),
            heart_magnification=1.06 if self.bedside else 1.0,
            devices=("leads",) * leads + ("pacemaker",) * self.patient.pacemaker,
        )

    @property
    def labels(self) -> Array:
        """Which findings show, float32 of shape (findings,), 0 or 1, in the order of ``FINDINGS``."""
        return np.array([name in self.view.severity for name in FINDINGS], np.float32)

    def draw(self, size: int) -> Array:
        """Draw the image, uint8 of shape (size, size), dense tissue bright."""
        rng = np.random.default_rng([*self.numbers, 1])
        attenuation = ChestPhantom(self.patient, self.view, rng, size).attenuation()
        return _expose(attenuation, rng, rng.uniform(500, 1200) if self.bedside else rng.uniform(1000, 3000))


class PhantomReader:
    """Draws the image of a row of the sample table when first asked for it, and keeps it.

    Args:
        seed: number of the population.
        images_per_patient: radiographs of each patient, in successive rows.
        size: height and width in pixels.
    """

    def __init__(self, seed: int, images_per_patient: int, size: int) -> None:
        self.seed, self.images_per_patient, self.size = seed, images_per_patient, size
        self.drawn: dict[int, Array] = {}

    def __call__(self, row: int) -> Array:
        """The image, uint8 of shape (size, size)."""
        if row not in self.drawn:
            self.drawn[row] = PhantomRadiograph(self.seed, *divmod(row, self.images_per_patient)).draw(self.size)
        return self.drawn[row]


def _expose(attenuation: Array, rng: np.random.Generator, photons: float) -> Array:
    """Photons through the body with scatter and Poisson noise, detected, inverted and windowed to 8 bits."""
    size = len(attenuation)
    primary = np.exp(-attenuation)
    scatter = rng.uniform(0.05, 0.25) * blur(primary, 0.12 * size)
    # Each row and column of the detector has its own small error of gain.
    gain = np.exp(rng.normal(0, 0.006, (size, 1)) + rng.normal(0, 0.006, (1, size)))
    counts = np.maximum(rng.poisson(photons * gain * (primary + scatter)), 0.5)
    film = -np.log(blur(counts, 0.4))
    low, high = np.percentile(film[attenuation > 0.4], [5, 99])
    low, high = low - rng.uniform(0.05, 0.35), high + rng.uniform(0.0, 0.3)
    brightness = np.clip((film - low) / (high - low), 0, 1) ** rng.uniform(0.85, 1.15)
    return np.asarray((255 * brightness).round().astype(np.uint8))
