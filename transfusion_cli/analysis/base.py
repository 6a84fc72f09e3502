"""What an analysis is, and which there are."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

from transfusion_cli import analysis
from transfusion_cli.analysis.networks import Network
from transfusion_cli.analysis.workbench import Workbench
from transfusion_cli.figure import Figure
from transfusion_cli.tasks.classification import ClassificationTask


class Findings(NamedTuple):
    """What one analysis found.

    Args:
        tables: rows by file name.
        figures: by name.
        text: for the terminal.
    """

    tables: dict[str, list[dict[str, Any]]]
    figures: dict[str, Figure]
    text: str


class Analysis:
    """One thing to look at in networks: its rows, its words and its figures, all in one file.

    The file is found by its name in ``transfusion_cli.analysis.ANALYSES``.
    """

    name: ClassVar[str]
    """As ``--what`` calls it."""

    networks: ClassVar[int] = 1
    """How many it takes at least."""

    def refuses(self, network: Network) -> str:
        """Why a network will not do, as a clause; empty where it will."""
        if isinstance(network.task, ClassificationTask):
            return ""
        return f"{self.name} compares what networks see in whole images, and {network.name} marks parts of them"

    def add_flags(self, add: Callable[..., Any]) -> None:
        """Declare the flags that this analysis alone reads from ``Workbench.options``.

        Args:
            add: ``add_argument`` of the command's parser.
        """

    def run(self, bench: Workbench) -> Findings:
        """Look.

        Raises:
            UserError: the networks or the data do not serve.
        """
        raise NotImplementedError


def analyses() -> dict[str, Analysis]:
    """Every analysis by its name, in the order of ``transfusion_cli.analysis.ANALYSES``."""
    for name in analysis.ANALYSES:
        import_module(f"{analysis.__name__}.{name}")
    found = {kind.name: kind() for kind in Analysis.__subclasses__()}
    return {name: found[name] for name in analysis.ANALYSES}


def whole(text: str, least: int = 0) -> int:
    """A flag's whole number from 0."""
    if not text.isdigit() or int(text) < least:
        raise ValueError
    return int(text)


def natural(text: str) -> int:
    """A flag's whole number from 1."""
    return whole(text, 1)
