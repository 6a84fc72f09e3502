"""How often intervals of calibration hold the truth: ``python benchmarks/calibration.py``.

True log-odds are N(-1.5, 1.5^2), with N(0, 1) more for each patient who has several images; the network's are off by a
slope or an intercept. The truth of the Brier score and of the calibration error is that of 200,000 images.
"""

import argparse
from itertools import product

import numpy as np
import torch
from scipy.special import expit

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.quality import MEASURES, Quality

WRONG = {"nothing": (1.0, 0.0), "intercept 0.3": (1.0, 0.3), "slope 0.5": (0.5, 0.0)}
"""Slope and intercept of the true log-odds by those of the network."""

TESTS = ((100, 1), (500, 1), (150, 3), (2000, 1))
"""Patients, and images of each."""


def draw(
    rng: np.random.Generator, patients: int, images: int, slope: float, intercept: float
) -> tuple[Quality, np.ndarray]:
    """A test, and its true probabilities."""
    own = np.repeat(rng.normal(0, 1, patients), images) if images > 1 else 0
    true = rng.normal(-1.5, 1.5, patients * images) + own
    truth = rng.random(len(true)) < expit(true)
    logits = torch.tensor((true - intercept) / slope)[:, None]
    made = ClassificationEvaluation.of_logits("binary", ["no", "yes"], logits, torch.tensor(truth).float()[:, None])
    return Quality.of(made.of_patients(np.repeat(np.arange(patients), images))), expit(true)


def held(rng: np.random.Generator, wrong: str, patients: int, images: int, tests: int) -> list[float]:
    """The share of intervals that hold the truth, and the mean calibration error that is found, less the true one."""
    setting = (images, *WRONG[wrong])
    many, probabilities = draw(rng, 200_000 // images, *setting)
    true = dict(many.metrics) | {"ece": float((many.probabilities[:, 0] - torch.tensor(probabilities)).abs().mean())}
    true |= {"calibration_slope": WRONG[wrong][0]}
    inside, errors = [], []
    for _ in range(tests):
        quality, _ = draw(rng, patients, *setting)
        intervals = quality.intervals()
        errors.append(quality.metrics["ece"] - true["ece"])
        if not np.isnan(intervals["brier"].low):
            inside.append([intervals[kind].low <= true[kind] <= intervals[kind].high for kind in MEASURES])
    return [*np.mean(inside, axis=0), float(np.mean(errors))]


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=300)
    tests = parser.parse_args().tests
    rng = np.random.default_rng(0)
    print("| wrong by | patients | images each | Brier | ECE | slope | intercept | ECE found less true |")
    print("|---|---|---|---|---|---|---|---|")
    for wrong, (patients, images) in product(WRONG, TESTS):
        cells = " | ".join(f"{value:.3f}" for value in held(rng, wrong, patients, images, tests))
        print(f"| {wrong} | {patients} | {images} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
