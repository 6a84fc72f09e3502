"""Reading a file of JSON that describes data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transfusion_cli.errors import UserError


def read_json(path: Path, kind: type = dict) -> Any:
    """What a file of JSON holds.

    Args:
        path: the file.
        kind: ``dict`` or ``list``, what it should hold.

    Raises:
        UserError: no such file, no JSON, or another kind of content.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # editors put a mark at the front
    except FileNotFoundError as error:
        raise UserError(f"No file {path}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"Cannot read {path} as JSON\n{str(error).splitlines()[0]}") from error
    if not isinstance(content, kind):
        word = "an object {...}" if kind is dict else "a list [...]"
        raise UserError(f"{path} should hold {word}, not {type(content).__name__}")
    return content
