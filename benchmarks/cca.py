"""CCA of two layers: streamed moments and Cholesky factors against matrix square roots and a full SVD.

``python benchmarks/cca.py``. Two baselines in plain numpy, both from the covariances of all stored activations and with
a full SVD at the end: ``roots`` divides by the roots of the eigenvalues, ``pinv`` takes the pseudo-inverse first and
then its square root. Rounds are interleaved; times are processor seconds on one thread, so that other load matters
little. Then the peak memory of processes that see 1, 2 and 4 times as many points (Linux).
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from transfusion_cli.analysis.measures.cca import cca_coefficients
from transfusion_cli.analysis.measures.streaming import PairMoments

BATCH = 1000


def roots(x: np.ndarray, y: np.ndarray, pseudo: bool = False) -> np.ndarray:
    """Singular values of Sxx^(-1/2) Sxy Syy^(-1/2)."""
    d1 = x.shape[1]
    covariance = np.cov(x, y, rowvar=False)

    def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(values**exponent) @ vectors.T

    def inverse_root(matrix: np.ndarray) -> np.ndarray:
        return power(np.linalg.pinv(matrix), 0.5) if pseudo else power(matrix, -0.5)

    xx, yy = covariance[:d1, :d1], covariance[d1:, d1:]
    return np.linalg.svd(inverse_root(xx) @ covariance[:d1, d1:] @ inverse_root(yy))[1]


def pinv(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same by way of pseudo-inverses, which rank-deficient covariances need."""
    return roots(x, y, pseudo=True)


def streamed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same in batches."""
    moments = PairMoments(x.shape[1], y.shape[1])
    for start in range(0, len(x), BATCH):
        moments.update(torch.from_numpy(x[start : start + BATCH]), torch.from_numpy(y[start : start + BATCH]))
    return cca_coefficients(moments).numpy()


def activations(neurons: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Two layers that share a quarter of their directions."""
    rng = np.random.default_rng(0)
    common = rng.standard_normal((points, neurons // 4))
    x, y = (
        common @ rng.standard_normal((neurons // 4, neurons)) / 10 + rng.standard_normal((points, neurons))
        for _ in range(2)
    )
    return x, y


def peak_memory(neurons: int, points: int) -> None:
    """Prints the peak resident memory in MiB, before and after streaming generated activations (a child's part)."""

    def peak() -> int:
        return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) // 1024

    before = peak()
    generator = torch.Generator().manual_seed(0)
    moments = PairMoments(neurons, neurons)
    for _ in range(points // BATCH):
        moments.update(*(torch.randn(BATCH, neurons, generator=generator) for _ in range(2)))
    cca_coefficients(moments)
    print(before, peak())


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory_neurons", type=int, default=1024)
    parser.add_argument("--peak_memory", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak_memory:
        return peak_memory(*args.peak_memory)

    print(f"{args.points} points, {args.rounds} rounds, load {os.getloadavg()[0]:.1f}; ratios: median (all rounds)")
    print("neurons   streamed      roots       pinv   roots/streamed         pinv/streamed          difference")
    for neurons in args.neurons:
        x, y = activations(neurons, args.points)
        seconds: dict[str, list[float]] = {"streamed": [], "roots": [], "pinv": []}
        for _ in range(args.rounds):
            found = {}
            for compute in (streamed, roots, pinv):
                start = time.process_time()
                found[compute.__name__] = compute(x, y)
                seconds[compute.__name__].append(time.process_time() - start)
        times = [f"{statistics.median(each):8.1f} s" for each in seconds.values()]
        ratios = []
        for name in ("roots", "pinv"):
            each = [slow / fast for slow, fast in zip(seconds[name], seconds["streamed"], strict=True)]
            ratios.append(f"{statistics.median(each):.1f} ({' '.join(f'{ratio:.1f}' for ratio in each)})")
        difference = max(np.abs(found["streamed"] - found[name]).max() for name in ("roots", "pinv"))
        print(f"{neurons:7d} {' '.join(times)}   {ratios[0]:22} {ratios[1]:22} {difference:.0e}", flush=True)

    print("\nneurons  points  MiB before  MiB at the peak  MiB of the activations, were they stored")
    for factor in (1, 2, 4):
        neurons, points = args.memory_neurons, factor * args.points
        command = [sys.executable, __file__, "--peak_memory", str(neurons), str(points)]
        before, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        print(f"{neurons:7d} {points:7d} {before:>11} {peak:>16} {2 * 8 * neurons * points / 2**20:10.0f}", flush=True)


if __name__ == "__main__":
    main()
