"""How a CSV file is written: its encoding, and what stands between its cells."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

from transfusion_cli.errors import UserError

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""Byte-order marks. Excel writes the first for "CSV UTF-8" and the second for "Unicode Text"."""

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How .xlsx and .ods begin, and .xls."""

_SAYS_SEPARATOR = re.compile(r"sep=(.?)")
"""A first line that Excel writes and reads."""


def csv_dialect(path: Path) -> dict[str, Any]:
    """Arguments of ``pandas.read_csv`` for a file: encoding, separator and lines before the header.

    The separator is the comma, the semicolon (Excel, where the comma is the decimal point) or the tab, whichever
    parts the header into the most cells and no cell in quotes.

    Raises:
        UserError: it is a workbook.
        ValueError: it cannot be read at all.
    """
    import pandas as pd

    with path.open("rb") as file:
        start = file.read(4)
    if start in _WORKBOOKS and not path.name.lower().endswith(".zip"):
        raise UserError(f'{path} is a workbook, not a CSV file\nSave its sheet as "CSV UTF-8" and give that')
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")
    options: dict[str, Any] = {"encoding": encoding, "skiprows": 0}

    def header(sign: str) -> list[str]:
        return [str(name) for name in pd.read_csv(path, nrows=0, sep=sign, **options).columns]

    if said := _SAYS_SEPARATOR.match(header("\x00")[0]):
        return {**options, "skiprows": 1, "sep": said[1] or "\t"}
    headers = {sign: header(sign) for sign in ",;\t"}
    whole = [sign for sign, names in headers.items() if not any('"' in name for name in names)]
    return {**options, "sep": max(whole, key=lambda sign: len(headers[sign]), default=",")}
