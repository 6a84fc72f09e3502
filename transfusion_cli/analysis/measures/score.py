"""A similarity together with what is needed to judge it."""

from typing import NamedTuple


class Score(NamedTuple):
    """How similar two representations are, and how similar unrelated ones of the same size would look.

    Attributes:
        value: the similarity; 1 for representations that the measure cannot tell apart.
        chance: what independent representations would score on average with as many directions and data points.
            Scores of layers that differ in size or in the number of points compare only above their chance levels.
    """

    value: float
    chance: float
