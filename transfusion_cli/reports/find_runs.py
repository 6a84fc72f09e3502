"""Run folders behind what was typed."""

import glob
from collections.abc import Sequence
from pathlib import Path

from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import RunFolder


def find_runs(words: Sequence[str], root: Path) -> list[RunFolder]:
    """Run folders behind what was typed: each a run, a folder of runs or of names of runs, a pattern, or a name.

    Raises:
        UserError: for a word behind which there is no run.
    """
    found: dict[Path, RunFolder] = {}
    for word in words:
        runs = runs_behind(Path(word).expanduser()) or runs_behind(root / word)
        if not runs:
            raise UserError(
                f"There is no run behind {word!r}.\n"
                f"Give run folders, such as {root}/NAME/version_0, or names of runs under --root {root}."
            )
        found |= {run.path.resolve(): run for run in runs}  # a run may be reached in several ways
    return list(found.values())


def runs_behind(pattern: Path) -> list[RunFolder]:
    """Run folders at a path or a pattern, and up to two levels below; ``latest`` is the run that it leads to."""
    if (linked := RunFolder(pattern).config).is_symlink() and linked.is_file():
        return [RunFolder(pattern.parent / linked.resolve().parent.name)]
    places = [pattern] if pattern.exists() else [Path(path) for path in glob.glob(str(pattern))]
    folders = [folder for place in places for folder in (place, *place.glob("*"), *place.glob("*/*"))]
    runs = [RunFolder(folder) for folder in folders]
    runs = [run for run in runs if run.config.is_file() and not run.config.is_symlink()]  # latest/ holds links
    # version_2 before version_10
    return sorted(runs, key=lambda run: (str(run.path.parent), len(run.path.name), run.path.name))
