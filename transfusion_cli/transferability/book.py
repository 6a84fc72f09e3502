"""What was worked out of the features of one candidate, kept beside them."""

import json
from pathlib import Path
from typing import Any

from transfusion_cli.files import write_json


class Book:
    """A JSON file with an entry for each thing that took time, written whole after each.

    Args:
        path: the file; what cannot be read is begun anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}
        self._content: dict[str, Any] = content if isinstance(content, dict) else {}

    def get(self, entry: str) -> dict[str, Any] | None:
        """An entry, or None."""
        found = self._content.get(entry)
        return found if isinstance(found, dict) else None

    def put(self, entry: str, content: dict[str, Any]) -> None:
        """Add an entry.

        Raises:
            Fault: it cannot be written.
        """
        self._content[entry] = content
        write_json(self.path, self._content)
