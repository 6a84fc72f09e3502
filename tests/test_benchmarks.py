"""The simulations behind docs/statistics.md run, and say what they should of a few tests."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def rows(*command):
    """The cells of the table that a benchmark prints."""
    return table(printed(*command), "| 6")


def printed(*command):
    """The lines that a benchmark prints."""
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=FOLDER.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def table(lines, start):
    """The cells of those that start like this."""
    return [[cell.strip() for cell in line.split("|")[1:]] for line in lines if line.startswith(start)]


def test_the_table_has_a_row_for_each_setting():
    settings = runpy.run_path(str(FOLDER / "coverage.py"))["SETTINGS"]
    text = (FOLDER.parent / "docs" / "statistics.md").read_text().partition("## Comparisons")[0]
    told = [line.strip("| ").split(" | ")[:5] for line in text.splitlines() if line[:3].strip("| ").isdigit()]
    drawn = [(one.patients, one.images, one.prevalence, one.auroc, one.correlation) for one in settings]
    assert told == [[str(value) for value in setting] for setting in drawn]


@pytest.mark.slow
def test_coverage():
    lines = printed(FOLDER / "coverage.py", "--tests", 40)
    masks = [float(cell) for row in table(lines, "| Beta(40, 10)") for cell in row[4:9] if cell]
    assert len(masks) == 2 * 3 + 5 and 0.85 < np.mean(masks) <= 1
    shares = [float(cell) for row in table(lines, "| 6") for cell in row[6:14]]
    assert len(shares) == 5 * 8 and 0.9 < np.mean(shares) <= 1


@pytest.mark.slow
def test_differences():
    found = rows(FOLDER / "differences.py", "--studies", 20, "--power_studies", 10)
    alike, apart = (
        [float(cell) for row in found if row[5] == better for cell in row[6:11]] for better in ("0.0", "0.06")
    )
    assert len(alike) == len(apart) == 4 * 5 and np.mean(alike) < 0.12 and np.mean(apart) > 2 * np.mean(alike)


@pytest.mark.slow
def test_strategies():
    lines = printed(FOLDER / "strategies.py", "--images", 32, "--rounds", 1, "--epochs", 2, "--only", "head")
    (full,), (head,) = (table(lines, f"| {name}") for name in ("full", "head"))
    assert full[1:4] == ["1.00", "1.00", "269,137"]
    assert float(head[2]) < 1 and head[3] == "65"


@pytest.mark.slow
def test_calibration():
    found = table(printed(FOLDER / "calibration.py", "--tests", 5), "| ")[1:]
    assert len(found) == 3 * 4
    assert np.mean([float(cell) for row in found for cell in row[3:7]]) > 0.85
