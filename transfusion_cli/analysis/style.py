"""How the figures of analyses look."""

from collections.abc import Iterator, Sequence
from itertools import cycle

from matplotlib.axes import Axes

from transfusion_cli.drawing import COLORS
from transfusion_cli.figure import Figure
from transfusion_cli.reports.figures import FONT as FONT
from transfusion_cli.reports.figures import STYLES

TITLES = {"loss": "Loss", "auroc": "AUROC", "accuracy": "Accuracy"}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, none too wide for a screen."""
    return Figure(figsize=(min(width, 16), height), dpi=110, layout="constrained")


def new_axes(figure: Figure, position: tuple[int, int, int] = (1, 1, 1), title: str = "", ylabel: str = "") -> Axes:
    """Axes with a faint grid.

    Args:
        figure: where to put them.
        position: rows and columns of the grid of axes, and the number of these from 1.
        title: above them.
        ylabel: beside them.
    """
    axes = figure.add_subplot(*position)
    axes.set_title(title, fontsize=FONT + 1)
    axes.set_ylabel(ylabel)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def put_layers(axes: Axes, names: Sequence[str], bars: bool = False) -> None:
    """Names of layers under their places: slanted where they are long, some left out where they are many."""
    step = -(-len(names) // 40)
    places = list(range(0, len(names), step))
    slant = sum(map(len, names)) > 45
    axes.set_xticks(places, [names[place] for place in places], fontsize=FONT - (1 if slant else 0))
    if slant:
        for label in axes.get_xticklabels():
            label.set(rotation=90 if len(names) > 20 else 35, ha="right", rotation_mode="anchor")
    if not bars:  # which need room beside the outermost places
        axes.set_xlim(-0.3, len(names) - 0.7)


def draw_legend(figure: Figure) -> None:
    """One legend for all axes, beside them."""
    figure.legend(loc="outside right upper", fontsize=FONT, frameon=False)


def colors() -> Iterator[str]:
    """Colours, from the first again where there are more groups."""
    return cycle(COLORS)


def styles() -> Iterator[tuple[str, str]]:
    """Colours and lines, from the first again where there are more curves."""
    return cycle(STYLES)
