"""``--ckpt_path``: what a checkpoint says is the ground that configs and flags build on."""

import json
from pathlib import Path
from typing import Any

from transfusion_cli.cli.config.chain import sections_of
from transfusion_cli.cli.config.flags import INPUT, LABEL_MAP, value_of, without
from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.targets import MASK_TARGETS
from transfusion_cli.yaml_file import read_yaml

FOR_TRAINING = ("early_stopping", "steps_to_target", "checkpoint")
"""Sections that say nothing to an evaluation."""

HOW_LOADED = ("batch_size", "num_workers")
"""Arguments of any data that other cases are read by."""

HOW_READ = (*HOW_LOADED, "image_size", "resize", "shuffle_blocks")
"""Arguments of data with labels that other images are read by."""

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
    from transfusion_cli.tasks.restore import LINKED, UNUSED, model_section, saved_arguments

    path = checkpoint_file(flags)
    if path is None:
        return flags
    given = value_of(flags, INPUT) if verb == "predict" else None
    trains = verb == "fit"
    config = RunFolder.config_of(path)
    if given is not None:
        return for_images(config, saved_arguments(path), given, flags)
    if value_of(flags, LABEL_MAP) is not None:
        return for_external(verb, config, saved_arguments(path), flags)
    if config is not None and value_of(flags, "--config", "-c") is None:
        return ["--config", str(config) if trains else inline(for_evaluation(sections_of(config)), config), *flags]
    if path.suffix == ".safetensors":  # a delta says nothing of its own
        return flags
    model = model_section(saved_arguments(path), LINKED if trains else LINKED + UNUSED)
    return ["--config", inline({"model": model}, path), *flags]


def for_images(config: Path | None, task: dict[str, Any], given: str, flags: list[str]) -> list[str]:
    """Flags that evaluate images without labels, read as a run read its own.

    Args:
        config: of the run.
        task: arguments of its task.
        given: a file or folder of images.
        flags: of the command.

    Raises:
        UserError: nothing says how the images are to be read.
    """
    content = for_evaluation(sections_of(config)) if config is not None else {}
    data = content.get("data")
    if config is None or not isinstance(data, dict) or value_of(flags, "--config", "-c") is not None:
        raise UserError(
            f"{INPUT} reads images as a run read its own: give a checkpoint in its run folder, and no --config.\n"
            f"For example: transfusion predict lightning_logs/NAME/version_0 {INPUT} FOLDER"
        )
    masked = task["target"] in MASK_TARGETS
    known = HOW_LOADED if masked else HOW_READ
    same = {key: value for key, value in (data.get("init_args") or {}).items() if key in known}
    facts = {"input": given, "like": data, "target": task["target"], "class_names": task["class_names"]}
    given_class = "given_cases.GivenCases" if masked else "given_images.GivenImages"
    content["data"] = {"class_path": f"transfusion_cli.datasets.{given_class}", "init_args": {**same, **facts}}
    return ["--config", inline(content, config), *without(flags, INPUT)]


def for_external(verb: str, config: Path | None, task: dict[str, Any], flags: list[str]) -> list[str]:
    """Flags that test a run on other data, whose labels are called otherwise.

    Args:
        verb: of the command.
        config: of the run.
        task: arguments of its task.
        flags: of the command; those of ``data`` are about the other data, but for how images are loaded.

    Raises:
        UserError: it is no test, or nothing says how the run's images are read.
    """
    content = for_evaluation(sections_of(config)) if config is not None else {}
    data = content.get("data")
    if verb != "test" or not isinstance(data, dict) or value_of(flags, "--config", "-c") is not None:
        raise UserError(
            f"{LABEL_MAP} is for the test of a run on other data, given by flags.\n"
            f"For example: transfusion test lightning_logs/NAME/version_0 --data OTHER --data.root DIR {LABEL_MAP} FILE"
        )
    given = data.get("init_args") or {}
    same = {key: value for key, value in given.items() if key in HOW_READ}
    if value_of(flags, "--data") is None:  # the same class: what is not said again is as in the run
        other = {"class_path": data["class_path"], "init_args": {k: v for k, v in given.items() if k not in HOW_READ}}
        for key in ("cache", "exclude", "fold", "folds"):
            other["init_args"].pop(key, None)
        same["data"] = other
    facts = {"target": task["target"], "class_names": task["class_names"]}
    facts["label_map"] = label_map_of(value_of(flags, LABEL_MAP) or "")
    content["data"] = {"class_path": "transfusion_cli.datasets.external.ExternalData", "init_args": {**same, **facts}}
    return ["--config", inline(content, config or Path()), *(of_other(flag) for flag in without(flags, LABEL_MAP))]


def of_other(flag: str) -> str:
    """A flag of ``data`` as one of the other data."""
    name, equals, value = flag.partition("=")
    if name != "--data" and not name.startswith("--data."):
        return flag
    key = name.removeprefix("--data").replace(".init_args.", ".")
    return flag if key.removeprefix(".") in HOW_READ else f"--data.data{key}{equals}{value}"


def label_map_of(text: str) -> dict[str, str | None]:
    """A map of labels, from a YAML file or written out.

    Raises:
        UserError: it is none.
    """
    import yaml

    path = Path(text).expanduser()
    written = text.lstrip().startswith("{")
    if not written and not path.is_file():
        raise UserError(f"There is no file {text}.\n{LABEL_MAP} takes a YAML file, or '{{Theirs: Ours, ...}}'.")
    try:
        found = yaml.safe_load(text) if written else read_yaml(path)
    except yaml.YAMLError as error:
        raise UserError(f"{LABEL_MAP} {text} is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict) or not all(isinstance(value, str | None) for value in found.values()):
        raise UserError(f"{LABEL_MAP} {text} is no map of names.\nFor example '{{Effusion: Pleural Effusion}}'")
    return {str(name): value for name, value in found.items()}


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
