"""What a person reads when a run ends."""

import shlex
import shutil
import sys
from pathlib import Path

from transfusion_cli.reports.run_folder import RunFolder


def summary(folder: RunFolder, audit: str, table: str, trust: str = "") -> str:
    """The closing words of a fit: results, what trained, where things lie, what to type next.

    Args:
        folder: the run folder.
        audit: what trained.
        table: metrics with intervals, or the empty string where no test was made.
        trust: a flag that later commands need, with a space before it, or the empty string.
    """
    run, checkpoints = folder.path, folder.checkpoints
    best, delta, last = (typed(checkpoints / name) for name in ("best.ckpt", "delta.safetensors", "last.ckpt"))
    # Typed from outside the environment (``.venv/bin/transfusion``), the next commands need the same way in.
    here = "" if shutil.which("transfusion") else f"{typed(Path(sys.argv[0]).parent)}/"
    parts = [f"What trained\n{audit}"]
    if table:
        parts.insert(0, table)
    parts.append(f"Run folder\n{run}/")
    parts.append(
        "Next\n"
        f"  curves   {here}tensorboard --logdir {typed(run.parent)}\n"
        f"  test     {here}transfusion test --ckpt_path {best}{trust}\n"
        f"  predict  {here}transfusion predict --ckpt_path {delta}{trust}\n"
        f"  resume   {here}transfusion fit --ckpt_path {last}{trust} --trainer.max_epochs MORE"
    )
    return "\n\n".join(parts)


def typed(path: Path) -> str:
    """A path as it is typed into a shell."""
    return shlex.quote(str(path))
