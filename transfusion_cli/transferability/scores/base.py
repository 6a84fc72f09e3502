"""What a score of transferability is, and which there are."""

from importlib import import_module
from typing import ClassVar

from transfusion_cli.transferability import scores as package
from transfusion_cli.transferability.scores.sample import Sample


class Score:
    """One way to tell from features and labels of the target how well a network will do there once it is fine-tuned.

    The file is found by its name in ``transfusion_cli.transferability.scores.SCORES``. A score of one candidate says
    ``__call__``. One that can be stated only among other candidates overrides ``terms`` and ``combine`` instead, so
    whoever ranks asks for ``combine`` of every candidate's ``terms``.
    """

    name: ClassVar[str]
    """As ``--score`` calls it."""

    title: ClassVar[str]
    """In tables and figures."""

    paper: ClassVar[str]
    """Where it comes from."""

    higher_is_better: ClassVar[bool] = True

    needs_source: ClassVar[bool] = False
    """Whether it looks at the probabilities of the source's own classes."""

    def __call__(self, sample: Sample) -> float:
        """The score of a candidate.

        Raises:
            UserError: it is not defined for these images.
        """
        raise NotImplementedError

    def terms(self, sample: Sample) -> tuple[float, ...]:
        """What the score is made of; errors as for a call."""
        return (self(sample),)

    def combine(self, terms: list[tuple[float, ...]]) -> list[float]:
        """The scores of candidates, in the order of their terms."""
        return [first for first, *_ in terms]


def scores() -> dict[str, Score]:
    """Every score by its name, with its usual options, in the order of ``SCORES``."""
    for name in package.SCORES:
        import_module(f"{package.__name__}.{name}")
    found = {kind.name: kind() for kind in Score.__subclasses__()}
    return {name: found[name] for name in package.SCORES}
