"""How often the intervals hold the truth, and how long they take: ``python benchmarks/coverage.py``.

Binormal scores: N(d, spread^2) of positives, N(0, 1) of negatives, with d from the true AUROC. Images of a patient
share part of their noise (``correlation``), and their label unless ``labels`` is ``image``. Decisions are made at a
threshold; the truth of what depends on it is that of a million images. Tests with fewer than ten positive patients
have no interval and do not count. Five labels: each like the one, their scores correlated by 0.3; metrics are means.

Masks: Dice of a case is a Beta variable, which half of the cases of a patient with several share; some structures are
missed; HD95 is lognormal. The scores of pixels are binormal, by a distance that each image has of its own.
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
from transfusion_cli.metrics.intervals import UNDEFINED
from transfusion_cli.metrics.masks.measure import COLUMNS
from transfusion_cli.metrics.segmentation import SegmentationEvaluation

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
    Setting(150, 1, 0.1, 0.97, 1.5, spread=2.0),
    Setting(150, 3, 0.1, 0.90, 1.0, correlation=0.5, spread=2.0),
    Setting(150, 1, 0.2, 0.90, 1.0, questions=5),
    Setting(100, 3, 0.3, 0.85, 0.5, correlation=0.5, questions=5),
)


MASK_METRICS = ("dice", "hd95", "auroc_per_image", "dice_global", "auroc")


@dataclass(frozen=True)
class MaskSetting:
    """A population of tests of masks with one class."""

    patients: int
    alpha: float
    beta: float
    images: int = 1
    missed: float = 0.0
    spread: float = 0.7
    ranked: bool = False

    def draw(self, rng: np.random.Generator, patients: int | None = None) -> SegmentationEvaluation:
        """One test; the pixels are left out of one of other size."""
        ranked = self.ranked and patients is None
        count = patients or self.patients
        patient = np.repeat(np.arange(count), self.images)
        cases = len(patient)
        common = rng.beta(self.alpha, self.beta, count)[patient]
        own = rng.beta(self.alpha, self.beta, cases)
        dice = np.where(rng.random(cases) < 0.5, common, own) if self.images > 1 else own
        found = rng.random(cases) >= self.missed
        true = 1000 * rng.lognormal(0, self.spread, cases)
        tp, distance = dice * true * found, rng.lognormal(1, self.spread, cases)
        values = {"tp": tp, "fp": true * found - tp, "fn": true - tp, "tn": 50 * true, "hd95": distance}
        values |= {"voxel_volume": np.ones(cases), "diagonal": np.full(cases, 100.0)}
        columns = [torch.tensor(values.get(name, np.full(cases, math.nan))) for name in COLUMNS]
        # Pixels by the normal distribution's share of each of 200 steps of the score.
        edges, shift = np.linspace(-5, 8, 201), rng.normal(2, 0.7, (cases, 1))
        places = (np.zeros((cases, 1)), shift) if ranked else ()
        pixels = [torch.tensor(np.diff(norm.cdf(edges - at), axis=1)) for at in places]
        sizes = torch.tensor(np.stack([10 * true, true], axis=1))[..., None]
        return SegmentationEvaluation(
            index=torch.arange(cases),
            patients=patient,
            class_names=["structure"],
            measures=torch.stack(columns, dim=1)[:, None],
            surfaces=True,
            histograms=torch.stack(pixels, dim=1) * sizes if ranked else None,
        )


MASK_SETTINGS = tuple(
    MaskSetting(patients, *beta, **more)
    for beta, more in (
        ((40, 10), {"ranked": True}),
        ((8, 2), {"images": 2}),
        ((9, 1), {"spread": 1.0}),
        ((2, 1), {}),
        ((60, 2), {"spread": 0.4}),
        ((40, 5), {"missed": 0.1}),
    )
    for patients in (4, 8, 20)
)


def mask_coverage(setting: MaskSetting, tests: int, seed: int) -> dict[str, float]:
    """By metric, the share of intervals that hold the truth; not of metrics with too few patients."""
    rng = np.random.default_rng(seed)
    area = float(norm.cdf(2 / math.sqrt(2 + 0.7**2)))
    true = setting.draw(rng, 100_000).metrics | {"auroc": area, "auroc_per_image": area}
    held: dict[str, list[bool]] = {metric: [] for metric in MASK_METRICS}
    for _ in range(tests):
        intervals = setting.draw(rng).intervals()
        for metric, inside in held.items():
            low, high, _, why = intervals.get(metric, UNDEFINED)
            if not why:
                inside.append(low <= true[metric] <= high)
    return {metric: float(np.mean(inside)) for metric, inside in held.items() if inside}


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
    print("\n| Dice | missed | cases each | patients |", *(f"{name} |" for name in MASK_METRICS))
    print("|" + "---|" * (4 + len(MASK_METRICS)))
    for masks in MASK_SETTINGS:
        shares = mask_coverage(masks, args.tests, args.seed)
        cells = [f"Beta({masks.alpha:g}, {masks.beta:g})", masks.missed, masks.images, masks.patients]
        cells += [f"{shares[metric]:.3f}" if metric in shares else "" for metric in MASK_METRICS]
        print("|", " | ".join(map(str, cells)), "|", flush=True)
    print(f"25,000 images x 14 labels: all intervals in {seconds(25_000, 14):.1f} s")
