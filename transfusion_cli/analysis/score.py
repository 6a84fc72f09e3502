"""A similarity together with what is needed to judge it."""

from typing import NamedTuple


class Score(NamedTuple):
    """How similar two representations are, and how similar unrelated ones of the same size would look.

    Attributes:
        value: The similarity; 1 for representations that the measure cannot tell apart.
        chance: What independent representations would score on average with as many directions and data points.
            Scores of layers that differ in size or in the number of points compare only above their chance levels.
        n: Data points.
        d1: Neurons of the first representation.
        d2: Neurons of the second.
        kept1: Directions of the first that took part: dead and duplicate neurons add none, SVCCA keeps some.
        kept2: Directions of the second that took part.
    """

    value: float
    chance: float
    n: int
    d1: int
    d2: int
    kept1: int
    kept2: int
