"""Config files that extend others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transfusion_cli.cli.config.shipped import shipped_config, shipped_configs
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.yaml_file import read_yaml

EXTENDS = "extends"


def chain(path: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """A config file preceded by all that it extends, each base before what builds on it.

    Raises:
        UserError: when a base is missing, or a file extends itself.
    """
    if path.resolve() in above:
        raise UserError(f"{path} extends itself.")
    bases = sections_of(path).get(EXTENDS) or []
    for name in [bases] if isinstance(bases, str) else bases:
        beside = path.parent / name
        base = beside if beside.is_file() else shipped_config(name)
        if base is None:
            advice = did_you_mean(name, shipped_configs(), otherwise="Shipped ones: transfusion list configs")
            raise UserError(
                f"{path} extends {name}, which does not exist.\n"
                f"It is looked for beside {path.name}, then among the shipped configs.\n{advice}"
            )
        yield from chain(base, (*above, path.resolve()))
    yield path


def sections_of(path: Path) -> dict[str, Any]:
    """The sections of a config file.

    Raises:
        UserError: when it is not YAML, or not a mapping, or extends what is no file.
    """
    content = read_yaml(path)
    if not isinstance(content, dict | None):
        raise UserError(f"{path} is not a config: it holds no `key: value` sections.")
    content = content or {}
    bases = content.get(EXTENDS) or []
    if not isinstance(bases, str | list) or not all(isinstance(name, str) for name in bases):
        raise UserError(
            f"{path} extends {bases!r}, which names no file.\nWrite extends: base.yaml, or a list of files."
        )
    return content
