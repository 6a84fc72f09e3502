"""How often two recipes are told apart, equal or not: ``python benchmarks/differences.py``.

Scores are binormal. Their noise is common to all networks (how hard an image is), common to the seeds of a recipe, and
of the seed alone; with several images, patients share half of each. Seeds also differ in how well they separate at all
(``--between``, in units of the noise), half of it alike for the same seed of both recipes. Of recipes without a
difference at most 5 % should be told apart; the others show what a test of that size and so many seeds can find.
"""

import argparse
import math

import numpy as np
import torch
from scipy.special import expit
from scipy.stats import norm

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.difference import difference
from transfusion_cli.metrics.estimate import Estimate

METRICS = ("auroc", "average_precision", "accuracy", "balanced_accuracy", "f1")
SIZES = ((60, 1, 0.25, 0.90), (150, 3, 0.2, 0.90), (600, 1, 0.1, 0.85))
"""Patients, images of each, prevalence, AUROC."""

IMAGE, RECIPE, SEED = 0.5, 0.25, 0.25
"""Shares of the variance of scores."""


def study(
    rng: np.random.Generator, size: tuple[int, int, float, float], seeds: int, better: float, between: float
) -> list[list[dict[str, Estimate]]]:
    """The estimates of each run of two recipes, the first of which has an AUROC that is ``better`` by so much."""
    patients, images, prevalence, auroc = size
    patient = np.repeat(np.arange(patients), images)
    truth = (rng.random(patients) < prevalence)[patient]

    def noise(share: float) -> np.ndarray:
        shared = 0.5 if images > 1 else 0.0
        own = math.sqrt(1 - shared) * rng.standard_normal(len(patient))
        return math.sqrt(share) * (math.sqrt(shared) * rng.standard_normal(patients)[patient] + own)

    image, alike = noise(IMAGE), rng.standard_normal(seeds)
    recipes = []
    for area in (auroc + better, auroc):
        recipe, runs = noise(RECIPE), []
        for seed in range(seeds):
            apart = math.sqrt(2) * norm.ppf(area) + between * math.sqrt(0.5) * (alike[seed] + rng.standard_normal())
            scores = torch.tensor(apart * truth + image + recipe + noise(SEED))[:, None]
            tensors = (torch.tensor(expit(scores.numpy() - 1)), torch.tensor(truth.astype(float))[:, None])
            evaluation = ClassificationEvaluation.of("binary", ["no", "yes"], *tensors, patient, scores=scores)
            runs.append(evaluation.estimates)
        recipes.append(runs)
    return recipes


def found(size: tuple[int, int, float, float], seeds: int, better: float, args: argparse.Namespace) -> dict[str, float]:
    """The share of studies that find a difference, by metric; of one run each, seeds do not vary."""
    rng = np.random.default_rng(args.seed)
    told: dict[str, list[bool]] = {metric: [] for metric in METRICS}
    for _ in range(args.studies):
        first, second = study(rng, size, seeds, better, args.between if seeds > 1 else 0.0)
        for metric, answers in told.items():
            one = difference([run[metric] for run in first], [run[metric] for run in second], paired=True)
            if not one.why:
                answers.append(one.p < 0.05)
    return {metric: float(np.mean(answers)) for metric, answers in told.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--power_studies", type=int, default=200, help="for recipes that do differ")
    parser.add_argument("--between", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)  # the tests are small

    print("| patients | images each | prevalence | AUROC | seeds | better by |", *(f"{name} |" for name in METRICS))
    print("|" + "---|" * (6 + len(METRICS)))
    for better in (0.0, 0.03, 0.06):
        if better:
            args.studies = args.power_studies
        for size in SIZES:
            for seeds in (1, 5):
                shares = found(size, seeds, better, args).values()
                print(
                    "|",
                    " | ".join(map(str, (*size, seeds, better, *(f"{share:.3f}" for share in shares)))),
                    "|",
                    flush=True,
                )
