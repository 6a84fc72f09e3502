"""The simulations behind docs/statistics.md run, and say what they should of a few tests."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def rows(*command):
    """The cells of the table that a benchmark prints."""
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=FOLDER.parent)
    assert done.returncode == 0, done.stderr
    return [[cell.strip() for cell in line.split("|")[1:]] for line in done.stdout.splitlines() if line[:3] == "| 6"]


@pytest.mark.slow
def test_coverage():
    shares = [float(cell) for row in rows(FOLDER / "coverage.py", "--tests", 40) for cell in row[6:14]]
    assert len(shares) == 5 * 8 and 0.9 < np.mean(shares) <= 1


@pytest.mark.slow
def test_differences():
    found = rows(FOLDER / "differences.py", "--studies", 20, "--power_studies", 10)
    alike, apart = (
        [float(cell) for row in found if row[5] == better for cell in row[6:11]] for better in ("0.0", "0.06")
    )
    assert len(alike) == len(apart) == 4 * 5 and np.mean(alike) < 0.12 and np.mean(apart) > 2 * np.mean(alike)
