"""Locks between processes, with a second process that holds or wants them."""

import errno
import fcntl
import logging
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import transfusion_cli
from transfusion_cli.errors import UserError
from transfusion_cli.lock import FileLock

REPOSITORY = Path(transfusion_cli.__file__).parents[1]

HOLD = """
import os, sys, time
from pathlib import Path
from transfusion_cli.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire(timeout=30)
worker = os.fork() if sys.argv[2] == "with_worker" else None
if worker == 0:
    time.sleep(60)
    os._exit(0)
print(worker, flush=True)
sys.stdin.readline()
lock.release()
print("let go", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held(path, worker="alone"):
    """Another process that holds a lock until its line of input."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), worker],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            process.worker = process.stdout.readline().strip()
            yield process
        finally:
            process.kill()
            if process.worker.isdigit():
                os.kill(int(process.worker), 9)


def test_only_one_process_holds_it(tmp_path):
    lock = FileLock(tmp_path / "lock")
    with held(lock.path) as other:
        assert not lock.acquire(timeout=0)
        before = time.monotonic()
        assert not lock.acquire(timeout=0.3) and time.monotonic() - before >= 0.3
        print(file=other.stdin, flush=True)
        assert other.stdout.readline() == "let go\n"
        assert lock.acquire(timeout=0) and lock.acquire(timeout=0)
    lock.release()
    assert (tmp_path / "lock").read_bytes() == b""


def test_waits_for_its_turn_and_lets_go_after_a_failure(tmp_path):
    path = tmp_path / "lock"
    with held(path) as other:
        print(file=other.stdin, flush=True)
        with pytest.raises(ZeroDivisionError), FileLock(path):
            _ = 1 / 0
    with held(path) as other:
        assert other.worker == "None"  # got it


def test_a_killed_process_lets_go_and_its_worker_does_not_hold_it(tmp_path):
    with held(tmp_path / "lock", "with_worker") as other:
        assert not FileLock(tmp_path / "lock").acquire(timeout=0)
        other.kill()
        other.wait()
        os.kill(int(other.worker), 0)  # still there
        assert FileLock(tmp_path / "lock").acquire(timeout=5)


def plant_link(path):
    (path.parent / "precious").write_text("kept")
    path.symlink_to(path.parent / "precious")


@pytest.mark.parametrize(
    "plant",
    [plant_link, lambda path: path.symlink_to(path.parent / "nowhere"), Path.mkdir, os.mkfifo],
    ids=["link", "dangling link", "folder", "pipe"],
)
def test_what_is_no_plain_file_is_refused(tmp_path, plant):
    plant(tmp_path / "lock")
    with pytest.raises(UserError, match=r"^a link, or no plain file: .*lock\n") as error:
        FileLock(tmp_path / "lock").acquire(timeout=0)
    assert len(str(error.value).splitlines()) == 3
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "none/lock").acquire()


def test_file_systems_and_systems_without_locks(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with caplog.at_level(logging.WARNING), FileLock(tmp_path / "lock"):
        assert "cannot be locked ([Errno 37] No locks available)" in caplog.text
    monkeypatch.setitem(sys.modules, "fcntl", None)
    caplog.clear()
    with caplog.at_level(logging.WARNING), FileLock(tmp_path / "lock"):
        assert "let no other process work there now" in caplog.text
