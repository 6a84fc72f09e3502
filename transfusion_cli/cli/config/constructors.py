"""What the constructors that a config calls refuse, told as the mistake that it is."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from transfusion_cli.cli.config.sources import Sources
from transfusion_cli.errors import UserError

LONGEST = 250
"""Characters of a foreign message."""

EXPECTED = (ValueError, TypeError, MisconfigurationException)
"""What a constructor raises about its arguments; anything else may be a fault in the class itself."""


class Constructors:
    """Calls constructors for jsonargparse, which would bury what they raise under the types that the value is not.

    Args:
        sources: the command's arguments and config files.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.refusal: UserError | None = None
        """What the innermost constructor said, which is the cause of all that follow."""

    def watched(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """``make(cls, *args, **kwargs)``, but what it raises is remembered."""

        def watching(cls: type, *args: Any, **kwargs: Any) -> Any:
            try:
                return make(cls, *args, **kwargs)
            except Exception as error:
                arguments = {key: value for key, value in kwargs.items() if key != "applied_instantiation_links"}
                self.refusal = self.refusal or refused(cls, arguments, error, self.sources)
                raise

        watching.__wrapped__ = make  # type: ignore[attr-defined]  # jsonargparse looks at the signature
        return watching


def refused(cls: type, arguments: Mapping[str, Any], error: Exception, sources: Sources) -> UserError:
    """What a constructor raised, with the key that it is about.

    Args:
        cls: the class.
        arguments: what it was called with.
        error: what it raised.
        sources: the command's arguments and config files.
    """
    if isinstance(error, UserError):
        return error
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:LONGEST]
    empty = [key for key, value in arguments.items() if value is None and not _may_be_null(cls, key)]
    if empty and "None" in said:
        return UserError(f"{empty[0]} of {cls.__name__} must have a value, not null{sources.locate(empty[0], 'null')}.")
    about = [key for key, value in arguments.items() if _concerns(said, key, value)][:1]
    where = sources.locate(about[0], str(arguments[about[0]])) if about else sources.locate(cls.__name__)
    key = f" with {about[0]} {str(arguments[about[0]])[:LONGEST]}" if about else ""
    told = f"{cls.__name__} cannot be made{key}{where}:\n{said}"
    if not isinstance(error, EXPECTED):
        told += f"\nTRANSFUSION_DEBUG=1 shows where this {type(error).__name__} comes from."
    mistake = UserError(told)
    mistake.__cause__ = error
    return mistake


def _may_be_null(cls: type, key: str) -> bool:
    """Whether null is what an argument is by default, in the class that takes it."""
    found = (inspect.signature(base).parameters.get(key) for base in cls.__mro__ if "__init__" in vars(base))
    return next((parameter.default is None for parameter in found if parameter is not None), True)


def _concerns(said: str, key: str, value: Any) -> bool:
    """Whether a message speaks of an argument: by its name, or by its value where that cannot be anything else."""
    numbers = [n for n in (value if isinstance(value, tuple | list) else [value]) if isinstance(n, float)]
    words = (key, key.replace("_", " "), *map(str, numbers))
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", said, re.IGNORECASE) for word in words)
