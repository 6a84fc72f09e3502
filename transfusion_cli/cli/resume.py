"""``--ckpt_path``: what a checkpoint says is the ground that configs and flags build on."""

import json
from pathlib import Path
from typing import Any

from transfusion_cli.cli.chain import sections_of
from transfusion_cli.errors import UserError

FOR_TRAINING = ("early_stopping", "steps_to_target", "checkpoint")
"""Sections that say nothing to an evaluation."""

FOR_TRAINER = ("callbacks", "logger", "plugins", "profiler")
"""Classes of the trainer section, likewise."""


def with_checkpoint(verb: str, flags: list[str]) -> list[str]:
    """Put the configuration that a checkpoint brings before all others: defaults < checkpoint < configs < flags.

    Without ``--config`` that is the configuration of the whole run (``config.yaml`` of its folder); with it, the
    model's hyper-parameters alone. Where nothing trains, what training alone needs is left out: a file of a
    stranger's need not name optimizers and callbacks then.

    Raises:
        UserError: when there is no such checkpoint.
    """
    from transfusion_cli.tasks.restore import LINKED, UNUSED, config_beside, saved_arguments

    path = checkpoint_file(flags)
    if path is None:
        return flags
    trains = verb == "fit"
    config = config_beside(path)
    if config is not None and value_of(flags, "--config", "-c") is None:
        return ["--config", str(config) if trains else inline(for_evaluation(sections_of(config)), config), *flags]
    if path.suffix == ".safetensors":  # a delta says nothing of its own
        return flags
    arguments = saved_arguments(path)
    class_path = arguments.pop("_class_path", None)
    left_out = LINKED if trains else LINKED + UNUSED
    model = {
        **({"class_path": class_path} if class_path else {}),
        "init_args": {key: value for key, value in arguments.items() if key not in left_out},
    }
    return ["--config", inline({"model": model}, path), *flags]


def checkpoint_file(flags: list[str]) -> Path | None:
    """The file behind ``--ckpt_path``, if that is given.

    Raises:
        UserError: there is none.
    """
    ckpt_path = value_of(flags, "--ckpt_path")
    if ckpt_path in (None, "null"):
        return None
    path = Path(ckpt_path).expanduser()
    if not path.is_file():
        raise UserError(
            f"No checkpoint at {ckpt_path}.\n"
            "A run keeps its own in checkpoints/best.ckpt and checkpoints/last.ckpt of its folder."
        )
    return path


def inline(config: dict[str, Any], source: Path) -> str:
    """A configuration as the value of ``--config``.

    Raises:
        UserError: it holds what is no plain data.
    """
    try:
        return json.dumps(config)
    except (TypeError, ValueError) as error:
        raise UserError(f"{source} holds arguments that are no plain data: {error}.") from None


def for_evaluation(config: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration without what training alone needs."""
    from transfusion_cli.tasks.restore import UNUSED

    kept = {key: value for key, value in config.items() if key not in FOR_TRAINING}
    for section, unused in (("trainer", FOR_TRAINER), ("model", ())):
        if isinstance(kept.get(section), dict):
            kept[section] = {key: value for key, value in kept[section].items() if key not in unused}
    arguments = kept.get("model", {}).get("init_args") if isinstance(kept.get("model"), dict) else None
    if isinstance(arguments, dict):
        kept["model"]["init_args"] = {key: value for key, value in arguments.items() if key not in UNUSED}
    return kept


def value_of(flags: list[str], *names: str) -> str | None:
    """The last value given to a flag, as ``--flag value`` or ``--flag=value``."""
    found = None
    for position, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        if name in names:
            found = value if equals else next(iter(flags[position + 1 :]), None)
    return found
