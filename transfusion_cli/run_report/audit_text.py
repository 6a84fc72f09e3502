"""What trained, as the run wrote it into its events for TensorBoard."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TAG = "what trains"

_TOTAL = re.compile(r"^([\d,]+) parameters", re.MULTILINE)
_PHASE = re.compile(r"^phase \d+ (\S+) \((.*?)\): ([\d,]+) train \(([\d.]+%)\)", re.MULTILINE)


@dataclass(frozen=True)
class AuditText:
    """The table that ``fit`` prints as it begins.

    Args:
        text: the table.
    """

    text: str

    @classmethod
    def read(cls, folder: Path) -> AuditText | None:
        """From the events of a run folder, the newest that have it; None where none have.

        Args:
            folder: of the run.
        """
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        from transfusion_cli.reports.curves import PREFIX

        for path in sorted(folder.glob(f"{PREFIX}*"), reverse=True):
            try:
                for event in EventFileLoader(str(path)).Load():
                    for value in event.summary.value:
                        if value.tag.partition("/")[0] == TAG and value.tensor.string_val:
                            text = value.tensor.string_val[0].decode(errors="replace")
                            return cls(text.strip().removeprefix("```").removesuffix("```").strip("\n"))
            except Exception:  # a file of strangers, or cut off: its reader may end anyhow
                continue
        return None

    @property
    def total(self) -> str:
        """Parameters of the network, ``269,137``; empty where that is not known."""
        found = _TOTAL.search(self.text)
        return found[1] if found else ""

    @property
    def phases(self) -> list[tuple[str, str, str, str]]:
        """Name, length, parameters that train and their share, of each phase."""
        return [(found[1], found[2], found[3], found[4]) for found in _PHASE.finditer(self.text)]
