"""``transfusion runs``: what runs there are, and how far each is."""

import time
from pathlib import Path

from transfusion_cli.cli.own_flags import OwnFlags
from transfusion_cli.errors import UserError
from transfusion_cli.reports.find_runs import runs_behind
from transfusion_cli.reports.run_state import RunState, modified
from transfusion_cli.run_folder import ROOT, RunFolder
from transfusion_cli.text import aligned

UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1}


ABOUT = (
    "Every run below a folder, the newest first: whether it is running, finished, stopped (it can go on: transfusion "
    "fit --resume RUN) or failed (it left no checkpoint), epochs done, best validation metric, time since it last "
    "logged something, and where it is."
)


def run(verb: str, args: list[str]) -> None:
    """Print a row for each run.

    Raises:
        UserError: there is no such folder.
    """
    flags = OwnFlags("runs", ABOUT)
    there = f"folder of runs, {ROOT} by default"
    flags.add_argument("root", nargs="?", type=Path, default=ROOT, metavar="ROOT", help=there)
    root = flags.parse_args(args).root.expanduser()
    if not root.is_dir():
        raise UserError(f"There is no folder {root}.\nGive the folder that holds your runs: transfusion runs ROOT")
    found = runs_behind(root)
    if not found:
        print(f"There are no runs in {root}/. A first one: transfusion fit --config demo")
        return
    rows = [("state", "epochs", "best", "age", "run"), *map(row, sorted(found, key=age))]
    print("\n".join(aligned(rows)))


def row(folder: RunFolder) -> tuple[str, ...]:
    """The cells of one run."""
    try:
        one = RunState.read(folder)
    except UserError:
        return ("unreadable", "", "", in_words(age(folder)), str(folder))
    best = "" if one.best is None else f"{one.record.monitor} {one.best:.4f}"
    return (one.state, one.progress, best, in_words(age(folder)), str(folder))


def age(folder: RunFolder) -> float:
    """Seconds since a run last logged something."""
    return time.time() - max(modified(folder.config), modified(folder.metrics))


def in_words(seconds: float) -> str:
    """``3 h``: a number of the largest unit that fits."""
    unit = next((name for name, size in UNITS.items() if seconds >= size), "s")
    return f"{max(0, seconds) // UNITS[unit]:.0f} {unit}"
