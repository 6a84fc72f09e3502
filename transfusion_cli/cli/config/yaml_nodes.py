"""YAML that knows its lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from transfusion_cli.yaml_file import Loader


class Place(NamedTuple):
    """Where something was written: on the command line, or in a file."""

    file: Path | None = None
    line: int = 0

    def __str__(self) -> str:
        return " on the command line" if self.file is None else f" in {self.file}, line {self.line}"

    def of(self, node: yaml.Node) -> "Place":
        """The place of what stands inside."""
        return self if self.file is None else Place(self.file, node.start_mark.line + 1)


def nodes(text: str | None) -> yaml.Node | None:
    """A value of the command line, read as YAML; as text where it is none."""
    if text is None:
        return None
    try:
        return yaml.compose(text, Loader) or yaml.ScalarNode("tag:yaml.org,2002:str", text)
    except yaml.YAMLError:
        return yaml.ScalarNode("tag:yaml.org,2002:str", text)


def root_of(path: Path) -> yaml.Node | None:
    """The nodes of a YAML file, which know their lines; it was read before, and is sound."""
    return yaml.compose(path.read_text(encoding="utf-8"), Loader)


def items(node: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """Keys and values of a mapping."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))


def shown(node: yaml.Node | None) -> str:
    """A value as it was written, more or less."""
    match node:
        case yaml.ScalarNode():
            return str(node.value)
        case yaml.SequenceNode():
            return f"[{', '.join(shown(item) for item in node.value)}]"
        case _:
            return f"{{{', '.join(f'{key.value}: {shown(value)}' for key, value in items(node))}}}"
