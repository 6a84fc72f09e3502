"""``transfusion explain``: where a classifier looks, and whether what it learned has any part in that."""

from pathlib import Path

from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import ROOT

WORST = 20
"""Errors that are explained where nothing else is asked for."""

ABOUT = (
    "Class activation maps (Grad-CAM) of the best epoch of a run of classification, over the worst errors of its test, "
    "over cases by their ids, or over images of any folder. Beside each map stand those of the same network with its "
    "weights drawn anew: a map that stays alike says nothing of what was learned."
)


def flags() -> OwnFlags:
    """The verb's own flags; others say where the run's images are now."""
    parser = OwnFlags("explain", ABOUT)
    choice, data = "[--worst N | --ids ID ... | --input FOLDER]", "[--data.root DIR] [--trust MODULE]"
    parser.usage = f"transfusion explain RUN {choice} [--label NAME] [--output DIR] [--root DIR] {data}"
    parser.epilog = "Where the run's images are elsewhere now: --data.root DIR."
    add = parser.add_argument
    add("run", metavar="RUN", help="a run folder, the folder above (its newest run), or a checkpoint in one")
    cases = parser.add_mutually_exclusive_group()
    worst = f"the N worst errors of its test, each class in turn, on one sheet too; {WORST} by default"
    cases.add_argument("--worst", type=int, metavar="N", help=worst)
    cases.add_argument("--ids", nargs="+", metavar="ID", help="cases of its data, of any split")
    cases.add_argument(
        "--input", metavar="FOLDER", help="an image, or a folder of images, read as the run read its own"
    )
    add("--label", metavar="NAME", help="class or label to explain; by default what the network decided for")
    add("--output", type=Path, metavar="DIR", help="folder to make; RUN/explained by default, never over another")
    add("--root", type=Path, default=ROOT, metavar="DIR", help="where runs are looked for by name")
    return parser


def run(verb: str, args: list[str]) -> Path:
    """Draw the maps.

    Returns:
        Their folder.

    Raises:
        UserError: there is no such run, it is none of classification, or there are no such cases.
    """
    own, rest = flags().parse_known_args(args)
    if own.worst is not None and own.worst < 1:
        raise UserError(f"--worst takes a number from 1 on, not {own.worst}.\nTry --worst {WORST}")
    if own.input is not None and not Path(own.input).expanduser().exists():
        raise UserError(f"There is nothing at {own.input}.\n--input takes an image or a folder of images.")
    if own.worst is None and own.ids is None and own.input is None:
        own.worst = WORST
    from transfusion_cli.cli.explained import explained

    return explained(own, rest)
