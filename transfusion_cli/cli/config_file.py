"""``--config``: files that may extend others, or be named like a shipped one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile

from transfusion_cli.cli.parser import Parser
from transfusion_cli.cli.shipped import find_config, shipped_config, shipped_configs
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.yaml_file import read_yaml

EXTENDS = "extends"


class ConfigFile(ActionConfigFile):
    """jsonargparse's config action, with two habits more.

    A file may say ``extends: base.yaml`` or ``extends: [a.yaml, b.yaml]`` (relative to itself): those are read just
    before it, as if given by earlier ``--config`` flags, so that it holds only what differs. And a name that is no
    file may be that of a config shipped with the package, here and there.
    """

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Read one ``--config`` value into ``cfg``."""
        if values.lstrip().startswith("{"):  # a config given inline
            super().__call__(parser, cfg, values, option_string)
            return
        config = find_config(values)
        parser.sources.configs.append(config)
        for path in chain(config):
            content = sections_of(path)
            parser.sources.add_file(path, content)
            check_sections(parser, content)
            if content:
                super().__call__(parser, cfg, str(path), option_string)
                cfg.pop(EXTENDS, None)


def chain(path: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """A config file preceded by all that it extends, each base before what builds on it.

    Raises:
        UserError: when a base is missing, or a file extends itself.
    """
    if path.resolve() in above:
        raise UserError(f"{path} extends itself.")
    bases = sections_of(path).get(EXTENDS, [])
    for name in [bases] if isinstance(bases, str) else bases:
        beside = path.parent / str(name)
        base = beside if beside.is_file() else shipped_config(str(name))
        if base is None:
            advice = did_you_mean(str(name), shipped_configs(), otherwise="Shipped ones: transfusion list configs")
            raise UserError(
                f"{path} extends {name}, which does not exist.\n"
                f"It is looked for beside {path.name}, then among the shipped configs.\n{advice}"
            )
        yield from chain(base, (*above, path.resolve()))
    yield path


def sections_of(path: Path) -> dict[str, Any]:
    """The sections of a config file.

    Raises:
        UserError: when it is not YAML, or not a mapping.
    """
    content = read_yaml(path)
    if not isinstance(content, dict | None):
        raise UserError(f"{path} is not a config: it holds no `key: value` sections.")
    return content or {}


def check_sections(parser: Parser, content: dict[str, Any]) -> None:
    """Refuse an unknown section here: an empty one would pass in silence.

    Raises:
        UserError: naming the nearest section.
    """
    known = {action.dest.split(".")[0] for action in parser._actions} | {EXTENDS}
    for key in content:
        section = str(key).split(".")[0].rstrip("+")
        if section not in known:
            raise UserError(f"Unknown key {section!r}{parser.sources.locate(section)}.\n{did_you_mean(section, known)}")
