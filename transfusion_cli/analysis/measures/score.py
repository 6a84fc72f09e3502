"""A similarity together with what is needed to judge it."""

from typing import NamedTuple


class Score(NamedTuple):
    """How similar two representations are, and how similar unrelated ones of the same size would look.

    Attributes:
        value: the similarity; 1 for representations that the measure cannot tell apart.
        chance: what independent representations would score on average with as many directions and data points.
            Scores of layers that differ in size or in the number of points compare only above their chance levels.
        n: data points.
        d1: neurons of the first representation.
        d2: neurons of the second.
        kept1: directions of the first that took part: dead and duplicate neurons add none, SVCCA keeps some.
        kept2: directions of the second that took part.
    """

    value: float
    chance: float
    n: int
    d1: int
    d2: int
    kept1: int
    kept2: int
