"""What the X-rays meet: the attenuation of one phantom patient's chest, seen from the front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfusion_cli.phantoms.lungs import Lungs
from transfusion_cli.phantoms.patient import PhantomPatient
from transfusion_cli.phantoms.shapes import Array, edge, fractal_noise, half_round


@dataclass(frozen=True)
class View:
    """How the patient stood in one image, what was attached, and the severity of each finding that shows."""

    severity: dict[str, float]
    rotation: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    breath: float = 0.0
    heart_magnification: float = 1.0
    devices: tuple[str, ...] = ()


class ChestPhantom:
    """Line integrals of attenuation through the chest: 0 in air, about 1 in an inflated lung, 3 in the mediastinum.

    Each part is a smooth function of the coordinates, drawn at once for all pixels. Findings displace air or add
    attenuation, so they hide behind heart and diaphragm as they do in patients.

    Args:
        patient: anatomy, and where findings lie.
        view: pose, breath and what shows.
        rng: for what differs between images of one patient: textures, the course of leads.
        size: height and width in pixels.
    """

    def __init__(self, patient: PhantomPatient, view: View, rng: np.random.Generator, size: int) -> None:
        self.patient, self.view, self.rng, self.size = patient, view, rng, size
        # The field of view reaches from the shoulders to the upper abdomen and just cuts the flanks.
        axis = 0.86 * ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1)
        u, v = (axis[None, :] - view.shift[0]) / view.zoom, (axis[:, None] - view.shift[1] - 0.08) / view.zoom
        sin, cos = np.float32(np.sin(view.rotation)), np.float32(np.cos(view.rotation))
        self.x, self.y = cos * u + sin * v, cos * v - sin * u
        self.lateral = np.abs(self.x)
        self.pixel = 2 / size

    def attenuation(self) -> Array:
        """Draw the map, float32 of shape (size, size)."""
        p, x, y = self.patient, self.x, self.y
        # Neck between sloping shoulders, then nearly straight flanks; elliptic in depth.
        half_width = p.body_width * (0.28 + 0.78 / (1 + np.exp(-16 * (y + 0.86))) + 0.03 * y)
        body = 2.9 * p.body_thickness * half_round((x / half_width) ** 2) ** 0.7
        lungs, solid = self._lungs(), self._mediastinum()
        gas = 0.35 * p.stomach_gas * half_round(((x - 0.36) / 0.2) ** 2 + ((y - p.base[1] - 0.12) / 0.1) ** 2)
        extra = lungs.tissue * (1 - solid) + self._ribs(lungs.wall) + self._spine_and_soft_tissue() + self._devices()
        through = body * (1 - 0.66 * lungs.air * (1 - solid) - gas)
        return np.asarray(np.maximum(through + extra * np.minimum(body, 1), 0))

    def _inside(self, distance: Array, blur: float = 0.0) -> Array:
        return edge(distance, max(blur, self.pixel))

    def _lungs(self) -> Lungs:
        """Air below the ribs and above the diaphragm, with the findings of the view."""
        p, y, lateral = self.patient, self.y, self.lateral
        down = np.clip((y - p.apex) / (0.35 - p.apex), 0, 1)
        wall = p.chest_width * np.sqrt(1 - (1 - down) ** 2.4)
        base = np.where(self.x > 0, p.base[1], p.base[0]) + self.view.breath
        diaphragm = base - p.dome * (1 - ((lateral - 0.3) / 0.42) ** 2)
        lung = self._inside(wall - lateral) * self._inside(diaphragm - y, 0.05)
        air = lung * half_round((lateral / np.maximum(wall, 0.05)) ** 2) ** 0.5
        tissue = lung * (self._vessels() + 0.035 * fractal_noise(self.rng, self.size, 1.3))
        lungs = Lungs(self.x, y, lateral, wall, base, p.apex, air, tissue, self.rng)
        befall = {
            "Consolidation": lungs.consolidate,
            "Nodule": lungs.add_nodule,
            "Pneumothorax": lungs.collapse,
            "Effusion": lungs.effuse,
        }
        for finding, change in befall.items():
            if finding in self.view.severity:
                change(self.view.severity[finding], p.side[finding], p.place[finding])
        return lungs

    def _mediastinum(self) -> Array:
        """How much of the depth heart and great vessels fill, 0 to 1."""
        p, x, y = self.patient, self.x, self.y
        # Half of the heart's width over half of the chest's is the cardiothoracic ratio.
        a = p.cardiothoracic_ratio * self.view.heart_magnification * p.chest_width
        sin, cos = np.sin(p.heart_tilt), np.cos(p.heart_tilt)
        # The ventricles: an egg, pointed to the apex at the patient's left; the right atrium bulges to the other side.
        u, v = x - 0.24 * a, y - 0.27 - 0.3 * self.view.breath
        u, v = u * cos + v * sin, v * cos - u * sin
        ventricles = 1 - np.hypot(u / a, v / (a * (0.72 - 0.12 * u / a)))
        atrium = 1 - np.hypot((x + 0.2 * a) / (0.56 * a), (y - 0.2) / (0.75 * a))
        heart = self._inside(np.maximum(ventricles, atrium) * a, 0.05)
        knob = p.aortic_knob * np.exp(-(((y + 0.28) / 0.09) ** 2)) * (x > 0)
        vessels = self._inside(p.mediastinum + knob + 0.06 * np.maximum(y, 0) - np.abs(x - 0.01), 0.04)
        return np.maximum(0.93 * heart, 0.85 * vessels)

    def _vessels(self) -> Array:
        """A hilum on each side from which vessels branch outwards and thin out."""
        p, left = self.patient, self.x > 0
        out, down = self.lateral - 0.19, self.y + np.where(left, np.float32(0.07), np.float32(0.01))
        radius, angle = np.hypot(out, down), np.arctan2(down, out)
        a, b = (np.where(left, *phases).astype(np.float32) for phases in p.vessel_phases)
        branches = np.cos(5 * angle + a + 2 * np.sin(5 * radius + b)) * np.cos(3 * angle + b)
        branches = 1.3 * np.maximum(branches, 0) ** 2 * np.exp(-radius / 0.35)
        return np.asarray(p.vessels * (np.exp(-((radius / 0.1) ** 2)) + branches))

    def _ribs(self, wall: Array) -> Array:
        """Posterior ribs fall outwards, anterior ones inwards and steeper; the cortex at their edges is densest."""
        p, lateral, ribs = self.patient, self.lateral, np.zeros_like(self.x)
        posterior = self.y - 1.1 * p.rib_slope * lateral**2
        anterior = self.y - 0.75 * (wall - lateral) + 0.1
        half = 0.22  # half of a rib's height in units of the spacing
        for height, weight in ((posterior, 1.0), (anterior, 0.6 * self._inside(lateral - 0.3, 0.15))):
            off_centre = np.abs((height / p.rib_spacing + p.rib_phase) % 1 - 0.5) / half
            rib = self._inside((1 - off_centre) * half * p.rib_spacing)
            ribs += weight * rib * (0.65 + 0.35 * np.minimum(off_centre, 1) ** 2)
        return np.asarray(p.rib_density * ribs * self._inside(wall + 0.03 - lateral) * self._inside(0.7 - self.y, 0.2))

    def _spine_and_soft_tissue(self) -> Array:
        """Vertebrae, trachea, clavicles and breasts, which lie over everything."""
        p, x, y, lateral = self.patient, self.x, self.y, self.lateral
        spine = 0.35 * self._inside(0.085 - lateral, 0.05) * (0.8 + 0.2 * np.cos(2 * np.pi * y / 0.19))
        trachea = 0.45 * self._inside(0.045 - np.abs(x - 0.01), 0.03) * self._inside(-0.16 - y, 0.1)
        course = p.apex + 0.17 - 0.22 * lateral + 0.05 * np.sin(6 * lateral)
        clavicles = 0.5 * self._inside(0.032 - np.abs(y - course)) * self._inside(0.335 - np.abs(lateral - 0.415), 0.1)
        breasts = p.breast * half_round(((lateral - 0.42) / 0.34) ** 2 + ((y - 0.28) / 0.34) ** 2)
        return np.asarray(spine - trachea + clavicles + breasts)

    def _devices(self) -> Array:
        """Monitor leads that cross the chest; a pacemaker below the left clavicle with its wire."""
        x, y, shadow = self.x, self.y, np.zeros_like(self.x)
        if "leads" in self.view.devices:
            for height, slope, bend in self.rng.normal(0.0, (0.35, 0.4, 0.12), (3, 3)).astype(np.float32):
                shadow += 0.45 * self._inside(0.012 - np.abs(y - height - slope * x - bend * np.sin(4 * x)))
        if "pacemaker" in self.view.devices:
            can = 0.1 - np.hypot(x - 0.5, 0.8 * (y + 0.42))
            wire = x - 0.45 + 0.4 * np.sqrt(np.clip(y + 0.42, 0, 0.5) / 0.4)
            shadow += 2.2 * self._inside(can) + 0.9 * self._inside(0.015 - np.abs(wire)) * (np.abs(y + 0.17) < 0.27)
        return shadow
