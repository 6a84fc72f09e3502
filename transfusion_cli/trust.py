"""What a configuration may have imported: a closed list, so that reading a stranger's file runs none of their code."""

import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import Namespace, set_parsing_settings
from jsonargparse._common import denying_import_path_entry, parsing_settings  # the second to put back what was there
from lightning.pytorch import callbacks, loggers, plugins, profilers, strategies

from transfusion_cli.errors import UserError

OWN = (
    "transfusion_cli.datasets",
    "transfusion_cli.strategies",
    "transfusion_cli.tasks",
    "torch.optim",
    "lightning.pytorch.cli.ReduceLROnPlateau",
)
"""What any configuration, checkpoint or run folder may name, whoever wrote it."""

VARIABLE = "TRANSFUSION_TRUST"
"""Environment variable with modules to trust, separated by commas."""

_REFUSED = re.compile(r"Importing '([\w.]+)' is not allowed")
_CLASS_NAME = re.compile(r"\b[A-Z]\w+")
_CLASS_PATH = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Z]\w*")


def trusted() -> set[str]:
    """The modules that the environment says to trust."""
    return {name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()}


def packages_named(texts: Iterable[str]) -> set[str]:
    """The packages of all classes that are named in what a person typed: typing a name is trusting it.

    Not those of Python itself, where no class of a person's own can be.
    """
    texts = list(texts)
    found = {path.partition(".")[0] for text in texts for path in _CLASS_PATH.findall(text)}
    words = {word for text in texts for word in _CLASS_NAME.findall(text)}
    if any(words & set(room.__all__) for room in (callbacks, loggers, plugins, profilers, strategies)):
        found.add("lightning")  # its classes go by their short names
    return found - sys.stdlib_module_names


@contextmanager
def imports_from(modules: Iterable[str]) -> Iterator[None]:
    """Let configurations import from ``OWN`` and some modules, and from nowhere else.

    Args:
        modules: top-level names, or longer ones with dots.

    Raises:
        UserError: one is not the name of a module, or an import was refused where jsonargparse lets that escape.
    """
    names = sorted(set(modules))
    wrong = next((name for name in names if not all(part.isidentifier() for part in name.split("."))), None)
    if wrong is not None or "jsonargparse" in names:
        raise UserError(f"--trust {wrong or 'jsonargparse'} names no module to trust.\nGive the module of your class.")
    before = dict(parsing_settings)
    # A class that is named where any value may stand is kept as text, and never made.
    set_parsing_settings(instantiate_subclass_spec_in_any=False)
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=[*OWN, *names])
    try:
        yield
    except ImportError as error:
        told = refusal(str(error))
        if told is None:
            raise
        raise UserError(told) from error
    finally:
        parsing_settings.update(before)


def refusal(message: str) -> str | None:
    """What to say where jsonargparse refused an import; None where its message is another."""
    found = _REFUSED.search(message)
    if found is None or found[1].endswith((".yaml", ".yml")):  # a section's file that is not there
        return None
    return _refused(found[1])


def check_import(path: str) -> None:
    """See that a class may be imported, where we import it and not jsonargparse.

    Raises:
        UserError: ``imports_from`` does not allow it.
    """
    if denying_import_path_entry(path) is not None:
        raise UserError(_refused(path))


def _refused(path: str) -> str:
    return (
        f"{path} is named, which is neither of this program nor of torch.optim, and was not typed by you.\n"
        f"It was not imported. If you trust that module: --trust {path.partition('.')[0]}"
    )


def check_classes(config: Any) -> None:
    """See that what a parsed configuration names are classes: a function would be called with arguments of its choice.

    Raises:
        UserError: naming what is none.
    """
    for path, value in _named(config):
        if not inspect.isclass(value):
            raise UserError(f"{path} is no class.\nName a class, such as torch.optim.Adam.")


def foreign_packages(config: Any) -> list[str]:
    """The packages that a parsed configuration names beyond ``OWN``."""
    paths = (path for path, _ in _named(config) if not path.startswith(tuple(f"{name}." for name in OWN)))
    return sorted({path.partition(".")[0] for path in paths} - {"transfusion_cli", "lightning", "torch"})


def _named(config: Any) -> Iterator[tuple[str, Any]]:
    """Every class path in a parsed configuration, with what it leads to; and every function."""
    if isinstance(config, Namespace | dict):
        values = vars(config) if isinstance(config, Namespace) else config
        path = values.get("class_path")
        if isinstance(config, Namespace) and isinstance(path, str):
            module, _, name = path.rpartition(".")
            yield path, getattr(sys.modules.get(module), name, None)
        for value in values.values():
            yield from _named(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _named(value)
    elif inspect.isroutine(config):
        yield f"{config.__module__}.{config.__qualname__}", config
