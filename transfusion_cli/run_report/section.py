"""A part of a report, before it is HTML or Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from transfusion_cli.run_report.pictures import DPI


@dataclass
class Section:
    """A heading and what stands below it, in order: plain data that either form is made of.

    Texts are plain: whoever writes a form escapes them.

    Args:
        title: the heading.
        blocks: each with its ``kind``.
    """

    title: str
    blocks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The title as a link names it."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def say(self, text: str) -> None:
        """Add a paragraph; none if empty."""
        if text:
            self.blocks.append({"kind": "text", "text": text})

    def note(self, text: str) -> None:
        """Add a remark on what is missing or has to be known."""
        self.blocks.append({"kind": "note", "text": text})

    def head(self, text: str) -> None:
        """Add a smaller heading."""
        self.blocks.append({"kind": "head", "text": text})

    def code(self, text: str) -> None:
        """Add lines as they were typed or printed."""
        self.blocks.append({"kind": "code", "text": text})

    def bullets(self, lines: Sequence[str]) -> None:
        """Add a list; none if empty."""
        if lines:
            self.blocks.append({"kind": "list", "lines": list(lines)})

    def links(self, links: Sequence[tuple[str, str]]) -> None:
        """Add a list of texts that lead elsewhere: ``(text, address)``."""
        self.blocks.append({"kind": "links", "links": list(links)})

    def flow(self, source: Sequence[str], parts: Sequence[Sequence[str]]) -> None:
        """Add a source and what became of it, each as lines of one box."""
        self.blocks.append({"kind": "flow", "source": list(source), "parts": [list(part) for part in parts]})

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = True) -> None:
        """Add a table.

        Args:
            head: titles of the columns.
            rows: cells; a first cell with two spaces before it stands below the one without.
            numbers: whether all but the first column are numbers.
        """
        self.blocks.append({"kind": "table", "head": list(head), "rows": [list(row) for row in rows], "num": numbers})

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add names with what is known under them; without what is empty."""
        self.blocks.append({"kind": "facts", "rows": [row for row in rows if row[1]]})

    def pictures(self, *pictures: tuple[bytes, str]) -> None:
        """Add figures, side by side where there is room.

        Args:
            pictures: PNG files, each with what it shows, for whoever cannot see it.
        """
        cells = [{"uri": data_uri(png), "alt": alt, "width": width_of(png)} for png, alt in pictures]
        self.blocks.append({"kind": "pictures", "cells": cells})

    def sheet(self, pictures: Sequence[tuple[bytes, Sequence[str]]]) -> None:
        """Add small pictures, each with lines of text below."""
        cells = [{"uri": data_uri(png), "lines": list(lines)} for png, lines in pictures]
        self.blocks.append({"kind": "sheet", "cells": cells})


def width_of(png: bytes) -> int:
    """Width of a figure on the page, in CSS pixels of which an inch has 96."""
    return round(int.from_bytes(png[16:20], "big") * 96 / DPI)  # the header chunk comes first (RFC 2083, 4.1.1)


def data_uri(png: bytes) -> str:
    """A PNG file as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
