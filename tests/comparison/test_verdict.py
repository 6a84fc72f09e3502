"""What may be said of a difference."""

import math

import pytest

from transfusion_cli.comparison.verdict import verdict
from transfusion_cli.metrics.difference import Difference

NOT_WORSE = "is not shown to differ from"


@pytest.mark.parametrize(
    ("value", "low", "high", "p", "sentence"),
    [
        (0.05, 0.02, 0.08, 0.01, "A is better than B by 0.050 (0.020 to 0.080)."),
        (-0.05, -0.08, -0.02, 0.01, "B is better than A by 0.050 (0.020 to 0.080)."),
        (0.005, 0.001, 0.009, 0.01, "A is better than B by 0.005 (0.001 to 0.009), within 0.01."),
        (0.002, -0.005, 0.009, 0.6, "A and B are within 0.01 of each other: 0.002 (-0.005 to 0.009)."),
        (0.02, -0.005, 0.045, 0.2, f"A {NOT_WORSE} B, and not worse by more than 0.01: 0.020 (-0.005 to 0.045)."),
        (-0.02, -0.045, 0.005, 0.2, f"B {NOT_WORSE} A, and not worse by more than 0.01: 0.020 (-0.005 to 0.045)."),
        (0.02, -0.03, 0.07, 0.4, "A and B are not shown to differ: 0.020 (-0.030 to 0.070)."),
        (0.05, 0.02, 0.08, 0.06, f"A {NOT_WORSE} B, and not worse by more than 0.01: 0.050 (0.020 to 0.080)."),
    ],
)
def test_sentences(value, low, high, p, sentence):
    assert verdict("A", "B", Difference(value, low, high), p, 0.01) == sentence


def test_nothing_is_said_without_an_interval():
    found = Difference(0.1, why="too few positives (4)")
    assert verdict("A", "B", found, math.nan, 0.01) == "A and B: too few positives (4) to tell."
