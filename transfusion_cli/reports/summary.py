"""What a person reads when a run ends."""

import shlex
import shutil
import sys
from pathlib import Path

from transfusion_cli.run_folder import RunFolder


def summary(folder: RunFolder, best: str, audit: str, table: str, trust: str = "", files: bool = True) -> str:
    """The closing words of a fit: results, what trained, where things lie, what to type next.

    Args:
        folder: the run folder.
        best: its best epoch.
        audit: what trained.
        table: metrics with intervals, or the empty string where no test was made.
        trust: a flag that later commands need, with a space before it, or the empty string.
        files: whether any files may be predicted, or its own data alone.
    """
    # Typed from outside the environment (``.venv/bin/transfusion``), the next commands need the same way in.
    here = "" if shutil.which("transfusion") else f"{typed(Path(sys.argv[0]).parent)}/"
    program = f"{here}transfusion"
    if Path(sys.argv[0]).name == "__main__.py":
        here, program = f"{typed(Path(sys.executable).parent)}/", f"{typed(Path(sys.executable))} -m transfusion_cli"
    run, runs = typed(folder.path), typed(folder.path.parent)
    parts = [f"Best epoch\n{best}", f"What trained\n{audit}", f"Run folder\n{folder.path}/"]
    if table:
        parts.insert(0, table)
    parts.append(
        "Next\n"
        f"  curves   {here}tensorboard --logdir {runs}\n"
        f"  test     {program} test {run}{trust}\n"
        f"  predict  {program} predict {run}{trust}{' --input FOLDER' if files else ''}\n"
        f"  resume   {program} fit --resume {run}{trust} --trainer.max_epochs MORE"
    )
    return "\n\n".join(parts)


def typed(path: Path) -> str:
    """A path as it is typed into a shell."""
    return shlex.quote(str(path))
