"""Reading YAML of unknown origin."""

from pathlib import Path
from typing import Any

import yaml

from transfusion_cli.errors import UserError

MOST = 100_000
"""Values in one file; our longest config has some hundred."""


class Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping: YAML itself would keep the last and not say so."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Read one mapping."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                known = lines.get((key.tag, key.value))
                if known is not None:
                    told = f"the key {key.value!r} is there twice, first in line {known + 1}"
                    raise yaml.MarkedYAMLError(problem=told, problem_mark=key.start_mark)
                lines[key.tag, key.value] = key.start_mark.line
        return node


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    A few aliases of aliases (``*name``) stand for billions of values, or for one that holds itself, and whoever walks
    through them never ends: what a file stands for is bounded.

    Raises:
        UserError: when it is not YAML, has a key twice, or stands for more than ``MOST`` values.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}," if mark else ""
        raise UserError(f"{path}{where} is not valid YAML: {getattr(error, 'problem', error)}.") from error
    rest, number = [content], 0
    while rest:
        number += 1
        match rest.pop():
            case dict() as mapping:
                rest += mapping.values()
            case list() as values:
                rest += values
        if number + len(rest) > MOST:
            raise UserError(
                f"{path} stands for more than {MOST:,} values, through aliases (`*name`) of aliases.\n"
                "Write out what is meant."
            )
    return content
