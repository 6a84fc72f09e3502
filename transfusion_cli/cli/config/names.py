"""The classes that a config can name by their short names."""

import inspect
import pkgutil
from importlib import import_module

PACKAGES = ("transfusion_cli.datasets", "transfusion_cli.strategies", "transfusion_cli.tasks")


def import_all() -> None:
    """Import every module that may hold a class for a config: jsonargparse knows the classes that are imported."""
    for package in PACKAGES:
        for module in pkgutil.iter_modules(import_module(package).__path__, package + "."):
            import_module(module.name)


def class_keys() -> dict[str, set[str]]:
    """Every class that a config may name: tasks, strategies and other callbacks, data modules, optimizers, schedules.

    Each comes by its short name, with the keys it takes.
    """
    from lightning.pytorch import Callback
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from transfusion_cli.data.base import MedicalDataModule
    from transfusion_cli.tasks.base import TransferTask

    found: dict[str, set[str]] = {}
    todo: list[type] = [TransferTask, MedicalDataModule, Callback, Optimizer, LRScheduler]
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        if cls.__module__.startswith("monai."):  # which has schedules of its own under the names of torch's
            continue
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            found[cls.__name__] = keys_of(cls)
    return found


def keys_of(cls: type) -> set[str]:
    """The arguments of a class, those that ``**kwargs`` hands on to its bases included."""
    found: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            found |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return found - {"self"}
