"""Tasks from what a run has left, without running anything that its files name."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from safetensors import SafetensorError, safe_open

from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.checkpoints import read_checkpoint
from transfusion_cli.tasks.delta import is_delta, load_delta
from transfusion_cli.tasks.description import Network, described
from transfusion_cli.trust import check_classes, imports_from, refusal, trusted
from transfusion_cli.yaml_file import read_yaml

UNUSED = ("optimizer", "lr_scheduler")
"""Arguments of a task that training alone needs: a file has no say in them where nothing trains."""

LINKED = ("target", "class_names", "seed", "dims", "regions")
"""Arguments that follow from other parts of a run's configuration."""


def saved_arguments(path: str | Path) -> dict[str, Any]:
    """Every argument of the task that wrote a checkpoint, as plain data; its class as ``_class_path``.

    Raises:
        UserError: the file cannot be read, or it is a delta checkpoint without the config of its run.
    """
    path = Path(path)
    if not is_delta(path):
        kept = read_checkpoint(path).get("hyper_parameters")
        if not isinstance(kept, dict):
            raise UserError(f"{path} does not say how to build its network.\nGive a checkpoint as the run wrote it.")
        # What another part of a configuration had nothing to tell of, a kind of task need not know at all.
        idle = {name for name in LINKED if kept.get(name) is None} | {"_instantiator"}
        return {str(name): value for name, value in kept.items() if name not in idle}
    config = RunFolder.config_of(path)
    if config is None:
        raise UserError(
            f"{path} lies outside its run folder, whose config.yaml says how to rebuild the network.\n"
            "Give the checkpoint in its place, or the run's best.ckpt."
        )
    try:
        settings = read_yaml(config)
        model, seed = settings["model"], settings["seed_everything"]
        with safe_open(path, framework="pt") as file:
            own = described(json.loads((file.metadata() or {})["task"]), Network, path)
        facts = {"target": own["target"], "class_names": own["class_names"], "image_size": own["input_size"][-2:]}
        if own.get("regions") is not None:
            facts["regions"] = own["regions"]
        if len(own["input_size"]) == 4:
            facts["dims"] = 3
        return {**model["init_args"], **facts, "seed": seed, "_class_path": model["class_path"]}
    except (SafetensorError, KeyError, TypeError, IndexError, OSError, ValueError):
        raise UserError(
            f"{path} or {config.name} of its run cannot be read.\nGive the run's best.ckpt, which needs no other file."
        ) from None


def model_section(arguments: dict[str, Any], left_out: tuple[str, ...] = UNUSED) -> dict[str, Any]:
    """The ``model`` section of a configuration that says the same as ``saved_arguments``, but for what is left out."""
    default = "transfusion_cli.tasks.classification.ClassificationTask"
    given = {name: value for name, value in arguments.items() if name not in left_out and not name.startswith("_")}
    return {"class_path": arguments.get("_class_path", default), "init_args": given}


def make_task(arguments: dict[str, Any], trust: Iterable[str] = (), kind: type | None = None) -> TransferTask:
    """Build a task from plain data, that nothing is to train.

    Args:
        arguments: as of ``saved_arguments``; what training alone needs is left out.
        trust: modules beside those of this program that ``arguments`` may name.
        kind: class of the task, where ``arguments`` do not say.

    Raises:
        UserError: the arguments name something that may not be imported, or do not make a task.
    """
    section = model_section(arguments)
    if kind is not None:
        section["class_path"] = f"{kind.__module__}.{kind.__qualname__}"
    own = set() if kind is None else {kind.__module__.partition(".")[0]}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(TransferTask, "model")
    with imports_from({*trust, *trusted(), *own}):
        try:
            config = parser.parse_object({"model": section})
            check_classes(config)
            task: TransferTask = parser.instantiate_classes(config).model
            return task
        except UserError:
            raise
        except Exception as error:  # jsonargparse lets through whatever values of the wrong kind lead to
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            told = refusal(str(error)) or f"The arguments that were saved do not make a task:\n{reason[:300]}"
            raise UserError(told) from error


def restore(path: str | Path, trust: Iterable[str] = (), kind: type | None = None, **arguments: Any) -> TransferTask:
    """The task of a checkpoint, with its weights.

    Args:
        path: a full checkpoint, or a delta in its run folder.
        trust: modules beside those of this program that the checkpoint may name.
        kind: class of the task, where it is not what the checkpoint says.
        arguments: in place of the saved ones.

    Raises:
        UserError: see ``saved_arguments`` and ``make_task``.
    """
    task = make_task({**saved_arguments(path), **arguments}, trust, kind)
    if is_delta(path):
        load_delta(task, path)
    else:
        checkpoint = read_checkpoint(path)
        task.on_load_checkpoint(checkpoint)
        load_weights(task, checkpoint, path)
    return task


def load_weights(task: TransferTask, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Give a task the weights of a checkpoint.

    Raises:
        UserError: they are those of another network.
    """
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[-1].strip()[:200]
        raise UserError(f"The weights in {path} are not those of the network it describes.\n{reason}") from None
