"""The installed command in a process of its own: in a pipe or in a terminal, as people run it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

COMMAND = Path(sys.executable).parent / "transfusion"


class Process:
    """``transfusion`` with some arguments.

    Args:
        folder: where it runs.
        args: its arguments.
        terminal: give it a terminal of its own, so that a key press reaches it and its workers; else a pipe.
        variables: of its environment, beside those of this one.
    """

    def __init__(self, folder: Path, *args: str, terminal: bool = False, **variables: str) -> None:
        inside: int | None = None
        if terminal:
            self._end, inside = pty.openpty()
            fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, str(COMMAND), *args],
            cwd=folder,
            env=self.environment(variables),
            stdin=inside,
            stdout=subprocess.PIPE if inside is None else inside,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if inside is None else lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        if inside is None:
            self._end = self.process.stdout.fileno()
        else:
            os.close(inside)
        self.listen()

    @staticmethod
    def environment(variables: dict[str, str]) -> dict[str, str]:
        """The variables of this process, but for what a run passes on, and others."""
        kept = {name: value for name, value in os.environ.items() if name != "TRANSFUSION_RUN_FOLDER"}
        return {**kept, "COLUMNS": "120", **variables}

    def listen(self) -> None:
        """Take in what it says."""
        self._parts: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._end, 1 << 16)
            except OSError:  # the other end of a terminal is gone
                return
            if not part:
                return
            self._parts.append(part)

    @property
    def text(self) -> str:
        """What it has said so far."""
        return b"".join(self._parts).decode(errors="replace")

    def wait_for(self, condition, seconds: float = 200) -> None:
        """Wait until ``condition()`` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.text}"
            assert time.monotonic() < deadline, f"nothing happened:\n{self.text}"
            time.sleep(0.02)

    def press_ctrl_c(self) -> None:
        """In its terminal, where all its processes get the signal."""
        os.write(self._end, b"\x03")

    def send(self, number: signal.Signals, group: bool = False) -> None:
        """Send a signal to it, or to all its processes."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self, code: int = 0, seconds: float = 240) -> str:
        """Wait for its end, with ``code``; what it said."""
        self.process.wait(seconds)
        self._reader.join(10)
        assert self.process.returncode == code, f"{self.process.returncode}, not {code}:\n{self.text}"
        return self.text
