"""``--ckpt_path``: what a checkpoint says is the ground that configs and flags build on."""

import json
from pathlib import Path
from typing import Any

from transfusion_cli.errors import UserError


def with_checkpoint(flags: list[str]) -> list[str]:
    """Put the configuration that a checkpoint brings before all others: defaults < checkpoint < configs < flags.

    Without ``--config`` that is the configuration of the whole run (``config.yaml`` of its folder); with it, the
    model's hyper-parameters alone.

    Raises:
        UserError: when there is no such checkpoint.
    """
    ckpt_path = value_of(flags, "--ckpt_path")
    if ckpt_path in (None, "null"):
        return flags
    path = Path(ckpt_path).expanduser()
    if not path.is_file():
        raise UserError(
            f"No checkpoint at {ckpt_path}.\n"
            "A run keeps its own in checkpoints/best.ckpt and checkpoints/last.ckpt of its folder."
        )
    if value_of(flags, "--config", "-c") is None:
        run = path.resolve().parent
        config = next((f for f in (run / "config.yaml", run.parent / "config.yaml") if f.is_file()), None)
        if config is not None:
            return ["--config", str(config), *flags]
    model = hyper_parameters(path)
    return ["--config", json.dumps({"model": model}), *flags] if model else flags


def value_of(flags: list[str], *names: str) -> str | None:
    """The last value given to a flag, as ``--flag value`` or ``--flag=value``."""
    found = None
    for position, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        if name in names:
            found = value if equals else next(iter(flags[position + 1 :]), None)
    return found


def hyper_parameters(path: Path) -> dict[str, Any] | None:
    """The ``model`` section that a checkpoint was trained with, without what the data decide."""
    from transfusion_cli.tasks.checkpoints import read_checkpoint
    from transfusion_cli.tasks.delta import is_delta

    if is_delta(path):
        return None
    kept = dict(read_checkpoint(path).get("hyper_parameters", {}))
    kept.pop("_instantiator", None)
    class_path = kept.pop("_class_path", None)
    linked = ("target", "class_names", "seed")
    return {
        **({"class_path": class_path} if class_path else {}),
        "init_args": {key: value for key, value in kept.items() if key not in linked},
    }
