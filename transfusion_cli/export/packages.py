"""Packages that exporting needs and nothing else does."""

from importlib import import_module
from typing import Any

from transfusion_cli.errors import UserError


def needed(package: str, kind: str) -> Any:
    """A package, imported.

    Args:
        package: its name.
        kind: the format that needs it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise UserError(
            f'--format {kind} needs the package {package}: {error}\npip install "transfusion-cli[export]"'
        ) from None
