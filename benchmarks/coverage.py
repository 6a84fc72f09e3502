"""How often the intervals hold the truth, and how long they take: ``python benchmarks/coverage.py``.

Binormal scores: N(d, spread^2) of positives, N(0, 1) of negatives, with d from the true AUROC. Images of a patient
share part of their noise (``correlation``), and their label unless ``labels`` is ``image``. Decisions are made at a
threshold; the truth of what depends on it is that of a million images. Tests with fewer than ten positive patients
have no interval and do not count. Five labels: each like the one, their scores correlated by 0.3; metrics are means.
"""

import argparse
import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.special import expit
from scipy.stats import norm

from transfusion_cli.metrics.classification import ClassificationEvaluation

METRICS = ("auroc", "average_precision", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "kappa")


@dataclass(frozen=True)
class Setting:
    """A population of tests."""

    patients: int
    images: int
    prevalence: float
    auroc: float
    threshold: float
    correlation: float = 0.0
    labels: Literal["patient", "image"] = "patient"
    spread: float = 1.0
    questions: int = 1

    def draw(self, rng: np.random.Generator, patients: int | None = None) -> tuple[np.ndarray, ...]:
        """One test: the patient of each image (N,), truth and scores (N, L)."""
        count = patients or self.patients
        patient = np.repeat(np.arange(count), self.images)

        def noise(width: int) -> np.ndarray:
            by_patient = math.sqrt(self.correlation) * rng.standard_normal((count, width))[patient]
            return by_patient + math.sqrt(1 - self.correlation) * rng.standard_normal((len(patient), width))

        common, own = noise(1), noise(self.questions)
        error = own if self.questions == 1 else math.sqrt(0.3) * common + math.sqrt(0.7) * own
        drawn = rng.random((count if self.labels == "patient" else len(patient), self.questions)) < self.prevalence
        truth = drawn[patient] if self.labels == "patient" else drawn
        distance = math.sqrt(1 + self.spread**2) * norm.ppf(self.auroc)
        return patient, truth, np.where(truth, distance + self.spread * error, error)

    def evaluate(self, patient: np.ndarray, truth: np.ndarray, scores: np.ndarray) -> ClassificationEvaluation:
        """What the program makes of a test."""
        target = "binary" if self.questions == 1 else "multilabel"
        names = ["no", "yes"] if self.questions == 1 else [f"label {number}" for number in range(self.questions)]
        tensors = (torch.tensor(expit(scores - self.threshold)), torch.tensor(truth.astype(float)))
        return ClassificationEvaluation.of(target, names, *tensors, patient, scores=torch.tensor(scores))


SETTINGS = (
    Setting(60, 1, 0.2, 0.97, 1.0),
    Setting(60, 1, 0.2, 0.90, 0.5),
    Setting(150, 1, 0.1, 0.90, 1.5),
    Setting(150, 1, 0.1, 0.97, 1.5),
    Setting(400, 1, 0.1, 0.90, 1.0),
    Setting(400, 1, 0.05, 0.90, 1.0),
    Setting(2000, 1, 0.1, 0.90, 1.0),
    Setting(100, 1, 0.5, 0.75, 0.5),
    Setting(60, 3, 0.2, 0.90, 1.0, correlation=0.5),
    Setting(60, 3, 0.2, 0.97, 1.0, correlation=0.5),
    Setting(150, 3, 0.1, 0.90, 1.0, correlation=0.7),
    Setting(60, 3, 0.2, 0.90, 1.0, correlation=0.5, labels="image"),
    Setting(200, 6, 0.3, 0.80, 0.5, correlation=0.8),
    Setting(400, 1, 0.1, 0.90, 1.0, spread=2.0),
    Setting(400, 3, 0.1, 0.90, 1.0, correlation=0.5, spread=0.5),
    Setting(150, 1, 0.2, 0.90, 1.0, questions=5),
    Setting(100, 3, 0.3, 0.85, 0.5, correlation=0.5, questions=5),
)


def coverage(setting: Setting, tests: int, seed: int) -> tuple[int, dict[str, float], dict[str, float]]:
    """Tests with intervals; by metric, the share of intervals that hold the truth, and the share that lie above it."""
    rng = np.random.default_rng(seed)
    true = setting.evaluate(*setting.draw(rng, 1_000_000 // setting.images)).metrics | {"auroc": setting.auroc}
    misses: dict[str, list[int]] = {metric: [] for metric in METRICS if metric in true}
    for _ in range(tests):
        intervals = setting.evaluate(*setting.draw(rng)).intervals()
        for metric, sides in misses.items():
            low, high, _, why = intervals[metric]
            if not why:
                sides.append((low > true[metric]) - (high < true[metric]))
    inside = {metric: float(np.mean(np.equal(sides, 0))) for metric, sides in misses.items()}
    above = {metric: float(np.mean(np.equal(sides, 1))) for metric, sides in misses.items()}
    return len(misses["auroc"]), inside, above


def seconds(samples: int, labels: int) -> float:
    """Of all intervals of one large multilabel test, a third as many patients as images."""
    rng = np.random.default_rng(0)
    targets = (rng.random((samples, labels)) < np.linspace(0.02, 0.5, labels)).astype(np.float32)
    targets[rng.random(targets.shape) < 0.1] = np.nan
    scores = expit(np.nan_to_num(targets) + rng.standard_normal(targets.shape))
    names, patients = [f"label {k}" for k in range(labels)], rng.integers(samples // 3, size=samples)
    start = time.perf_counter()
    ClassificationEvaluation.of("multilabel", names, torch.tensor(scores), torch.tensor(targets), patients).intervals()
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=1000, help="drawn in each setting")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)  # the tests are small

    print("| patients | images each | prevalence | true AUROC | correlation | |", *(f"{name} |" for name in METRICS))
    print("|" + "---|" * (6 + len(METRICS)))
    held: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for setting in SETTINGS:
        count, inside, above = coverage(setting, args.tests, args.seed)
        for metric, share in inside.items():
            held[metric].append(share)
        notes = ["labels by image"] * (setting.labels == "image") + ["five labels"] * (setting.questions > 1)
        notes += [f"positives spread {setting.spread:g}"] * (setting.spread != 1)
        cells = [setting.patients, setting.images, setting.prevalence, setting.auroc, setting.correlation]
        cells += [", ".join(notes), *(f"{inside[metric]:.3f}" if metric in inside else "" for metric in METRICS)]
        print("|", " | ".join(map(str, cells)), f"| ({count} tests; AUROC too high {above['auroc']:.3f})", flush=True)
    for name, summary in (("mean", np.mean), ("least", np.min), ("most", np.max)):
        print(name, {metric: round(float(summary(shares)), 3) for metric, shares in held.items()})
    print(f"mean of all {np.mean(np.concatenate(list(held.values()))):.3f}")
    print(f"25,000 images x 14 labels: all intervals in {seconds(25_000, 14):.1f} s")
