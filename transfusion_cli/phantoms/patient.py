"""Who is imaged: the anatomy and the findings of one phantom patient, constant over all of that patient's images."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

# Shares of patients, in the order of the labels.
PREVALENCE = {"Cardiomegaly": 0.32, "Effusion": 0.34, "Consolidation": 0.32, "Nodule": 0.30, "Pneumothorax": 0.24}
FINDINGS = list(PREVALENCE)
# Loadings on two hidden causes (heart failure; infection or injury): they make findings come together as they do in a
# hospital, a large heart with an effusion, an effusion with a consolidation.
_LOADINGS = np.array([[0.7, 0.0], [0.6, 0.4], [0.1, 0.6], [0.0, 0.1], [0.0, 0.3]])


@dataclass(frozen=True, eq=False)
class PhantomPatient:
    """Anatomy and findings of one patient.

    Lengths are in the drawing's coordinates: x from -1 (left edge of the image, the patient's right side) to 1,
    y from -1 (top) to 1 (bottom). ``severity`` holds the findings that are present, from 0 (at the edge of what can
    be seen) to 1; ``side`` and ``place`` say where a finding lies if it is present.
    """

    severity: dict[str, float]
    illness: float
    side: dict[str, int]
    place: dict[str, tuple[float, float]]
    body_width: float
    body_thickness: float
    chest_width: float
    apex: float
    base: tuple[float, float]
    dome: float
    cardiothoracic_ratio: float
    heart_tilt: float
    mediastinum: float
    aortic_knob: float
    rib_spacing: float
    rib_phase: float
    rib_slope: float
    rib_density: float
    breast: float
    stomach_gas: float
    vessels: float
    vessel_phases: np.ndarray
    pacemaker: bool

    @classmethod
    def draw(cls, seed: int, patient: int) -> PhantomPatient:
        """Draw patient number ``patient`` of the population ``seed``; the same two numbers give the same patient."""
        rng = np.random.default_rng([seed, patient])
        causes = rng.normal(size=2)
        severity = _findings(causes, rng)
        size, right_base = rng.normal(), rng.uniform(0.42, 0.6)
        # Normal hearts reach up to half of the chest's width; enlarged ones start there, so mild cases overlap.
        enlarged = severity.get("Cardiomegaly")
        ratio = rng.normal(0.43, 0.035) if enlarged is None else rng.normal(0.49 + 0.15 * enlarged, 0.015)
        return cls(
            severity=severity,
            illness=float(causes.sum() / np.sqrt(2)),
            side={finding: int(rng.choice([-1, 1])) for finding in FINDINGS},
            place={finding: (rng.uniform(0.35, 0.8), rng.uniform(0.2, 0.9)) for finding in FINDINGS},
            body_width=float(np.clip(0.92 + 0.05 * size + rng.normal(0, 0.03), 0.8, 1.1)),
            body_thickness=float(np.exp(0.1 * size + rng.normal(0, 0.06))),
            chest_width=float(np.clip(rng.normal(0.74, 0.03), 0.66, 0.82)),
            apex=rng.uniform(-0.84, -0.72),
            base=(right_base, right_base + rng.uniform(0.02, 0.1)),
            dome=rng.uniform(0.1, 0.22),
            cardiothoracic_ratio=float(ratio),
            heart_tilt=rng.uniform(0.3, 0.7),
            mediastinum=rng.uniform(0.12, 0.17),
            aortic_knob=rng.uniform(0.02, 0.08),
            rib_spacing=rng.uniform(0.155, 0.2),
            rib_phase=rng.uniform(),
            rib_slope=rng.uniform(0.25, 0.5),
            rib_density=rng.uniform(0.16, 0.3),
            breast=rng.uniform(0.15, 0.45) if rng.random() < 0.45 else 0.0,
            stomach_gas=rng.uniform(0.3, 0.8) if rng.random() < 0.5 else 0.0,
            vessels=rng.uniform(0.4, 0.8),
            vessel_phases=rng.uniform(0, 2 * np.pi, (2, 2)),
            pacemaker=bool(rng.random() < 0.06),
        )


def _findings(causes: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Severity of each finding whose liability, normal and correlated by the causes, is above its threshold."""
    own = np.sqrt(1 - (_LOADINGS**2).sum(1)) * rng.normal(size=len(FINDINGS))
    ranks = map(NormalDist().cdf, _LOADINGS @ causes + own)
    severity = {name: 1 - (1 - rank) / PREVALENCE[name] for name, rank in zip(FINDINGS, ranks, strict=True)}
    return {name: value for name, value in severity.items() if value > 0}
