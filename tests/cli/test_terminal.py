"""Letters that a terminal has not."""

import io
import sys

import pytest

from transfusion_cli.cli.main import entry

SAID = "val/auroc ≥ 0.9 … café"
NAME = b"d\xc3\xa4t\xc3\xa4"
"""As it is on the disk."""


@pytest.mark.parametrize(
    "encoding, shown",
    [("ascii", b"val/auroc ? 0.9 ? caf?"), ("latin-1", b"val/auroc ? 0.9 ? caf\xe9"), ("utf-8", SAID.encode())],
)
def test_nothing_ends_with_a_letter(encoding, shown, monkeypatch):
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(sys, "argv", ["transfusion", "--version"])
    entry()
    for stream in streams.values():
        print(SAID, NAME.decode("ascii", "surrogateescape"), end="", file=stream, flush=True)
        assert stream.buffer.getvalue().endswith(shown + b" " + NAME)


def test_other_streams_stay_as_they_are(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["transfusion", "--version"])
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    entry()
    assert sys.stdout.getvalue().startswith("transfusion ")
