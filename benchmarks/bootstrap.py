"""Time of the bootstrap against a plain loop over resamples: ``python benchmarks/bootstrap.py``."""

import argparse
import time

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from transfusion_cli.metrics.classification import ClassificationEvaluation

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--samples", type=int, default=25_000)
parser.add_argument("--labels", type=int, default=14)
parser.add_argument("--resamples", type=int, default=2_000)
parser.add_argument("--naive_resamples", type=int, default=5)
args = parser.parse_args()

rng = np.random.default_rng(0)
patients = rng.integers(args.samples // 3, size=args.samples)
targets = (rng.random((args.samples, args.labels)) < np.linspace(0.02, 0.5, args.labels)).astype(np.float32)
targets[rng.random(targets.shape) < 0.1] = np.nan
scores = 1 / (1 + np.exp(-(np.nan_to_num(targets) + rng.standard_normal(targets.shape))))
names = [f"label {k}" for k in range(args.labels)]

start = time.perf_counter()
evaluation = ClassificationEvaluation.of("multilabel", names, torch.tensor(scores), torch.tensor(targets), patients)
evaluation.intervals(args.resamples)
ours = time.perf_counter() - start

rows_of = np.split(np.argsort(patients, kind="stable"), np.cumsum(np.bincount(patients))[:-1])
start = time.perf_counter()
for _ in range(args.naive_resamples):
    rows = np.concatenate([rows_of[patient] for patient in rng.integers(len(rows_of), size=len(rows_of))])
    for label in range(args.labels):
        known = rows[~np.isnan(targets[rows, label])]
        roc_auc_score(targets[known, label], scores[known, label])
        average_precision_score(targets[known, label], scores[known, label])
naive = (time.perf_counter() - start) / args.naive_resamples * args.resamples

print(f"{args.resamples} resamples x {args.samples} samples x {args.labels} labels, {torch.get_num_threads()} threads")
print(f"the intervals of all metrics           {ours:8.1f} s")
print(f"scikit-learn loop, AUROC and AP alone  {naive:8.1f} s  (from {args.naive_resamples} resamples)")
print(f"ratio                                  {naive / ours:8.1f}")
