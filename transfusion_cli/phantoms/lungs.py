"""The lungs of a phantom and what befalls them: each finding changes the air in a lung and the tissue over it."""

from dataclasses import dataclass

import numpy as np

from transfusion_cli.phantoms.shapes import Array, edge, fractal_noise, half_round


@dataclass
class Lungs:
    """Both lungs as seen from the front; all arrays have the shape of the image.

    ``air`` is the share of the depth that is air, 0 to 1, ``tissue`` the attenuation of vessels and findings; both are
    changed in place by the findings, in the order in which they come.
    """

    x: Array
    y: Array
    lateral: Array
    wall: Array
    base: Array
    apex: float
    air: Array
    tissue: Array
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.full = self.air
        self.size = len(self.air)
        self.pixel = abs(float(self.y[1, 0] - self.y[0, 0]))

    def consolidate(self, severity: float, side: int, place: tuple[float, float]) -> None:
        """Alveoli fill with fluid in a patch with ragged borders."""
        distance = self._distance(side, place) / (0.15 + 0.17 * severity)
        patch = np.clip(1.1 - distance**2 + 0.35 * fractal_noise(self.rng, self.size, 1.5), 0, 1)
        self.air = self.air * (1 - (0.3 + 0.5 * severity) * patch)

    def add_nodule(self, severity: float, side: int, place: tuple[float, float]) -> None:
        """A ball of soft tissue grows in the lung."""
        ball = half_round((self._distance(side, place) / (0.09 + 0.07 * severity)) ** 2)
        self.tissue = self.tissue + (0.5 + 0.5 * severity) * ball * (self.full > 0)

    def collapse(self, severity: float, side: int, place: tuple[float, float]) -> None:
        """Pneumothorax: air between lung and wall, widest at the apex, without vessels, behind a thin pleural line."""
        below_apex = self.y - self.apex
        gap = (0.1 + 0.22 * severity) * np.clip(1.25 - 0.8 * below_apex, 0.15, 1.25)
        inside = np.minimum(self.wall - self.lateral, 0.8 * below_apex) - gap
        inside = np.where(self.x * side > 0, inside, 1)
        lung = edge(inside, 1.2 * self.pixel)
        line = 0.3 * np.exp(-((inside / (0.7 * self.pixel)) ** 2)) * (self.full > 0)
        shrunk = np.where(self.x * side > 0, 1 - 0.35 * severity, 1)
        self.air = self.air * lung * shrunk + 1.25 * self.full * (1 - lung)
        self.tissue = self.tissue * lung + line

    def effuse(self, severity: float, side: int, place: tuple[float, float]) -> None:
        """Fluid settles at the base and climbs along the wall: the meniscus blunts the costophrenic angle."""
        outwards = np.clip(self.lateral / np.maximum(self.wall, 0.05), 0, 1)
        level = self.base - 0.02 - 0.5 * severity - (0.12 + 0.1 * severity) * outwards**5
        wet = 0.9 * edge(self.y - level, 0.1) * (self.x * side > 0)
        self.air, self.tissue = self.air * (1 - wet), self.tissue * (1 - wet)

    def _distance(self, side: int, place: tuple[float, float]) -> Array:
        """Distance to a place given as shares of the way from the midline to the wall and from apex to base."""
        outwards, downwards = place
        across = side * self.x - outwards * 0.9 * float(self.wall.max())
        return np.hypot(across, self.y - self.apex - 0.12 - downwards * (float(self.base.min()) - self.apex - 0.35))
