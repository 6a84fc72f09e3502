"""Terminals that have not all letters."""

import codecs
import io
import sys

SURROGATES = range(0xDC80, 0xDD00)
"""What Python makes of the bytes of a file name that it cannot read; 0xDC00 above the byte."""


def show_everything() -> None:
    """Let no letter end a command: what the terminal's encoding lacks is shown as ``?``, and names as they are typed.

    An ellipsis, or the ``≥`` of a table, would otherwise be the last word of a finished run on a terminal that is set
    to ISO-8859-1 or, as in many containers, to nothing.
    """
    codecs.register_error("transfusion", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook has others, and a program without a console none
            stream.reconfigure(errors="transfusion")


def _nearest(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    numbers = map(ord, error.object[error.start : error.end])
    return bytes(number - 0xDC00 if number in SURROGATES else ord("?") for number in numbers), error.end
