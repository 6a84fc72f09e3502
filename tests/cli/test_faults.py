"""What each fault is called, and the code that a command ends with."""

import errno
import os
import signal

import pytest
import torch
from support.commands import transfusion

from transfusion_cli.cli import faults, listing
from transfusion_cli.cli.output import Output
from transfusion_cli.errors import ALONE, Fault, Stopped, UserError

SAID = {
    "device": (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), faults.DEVICE_MEMORY),
    "cublas": (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), faults.DEVICE_MEMORY),
    "mps": (RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"), faults.DEVICE_MEMORY),
    "cpu": (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8000 bytes"), faults.MEMORY),
    "python": (MemoryError(), faults.MEMORY),
    "fork": (OSError(errno.ENOMEM, "Cannot allocate memory"), faults.MEMORY),
    "files": (OSError(errno.EMFILE, "Too many open files"), faults.FILES),
    "gloo": (RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:2"), ALONE),
    "nccl": (RuntimeError("NCCL error: remote process exited or there was a network error"), ALONE),
}


@pytest.mark.parametrize("name", SAID)
def test_what_the_machine_says_is_put_into_words(name):
    error, (what, cure) = SAID[name]
    error.add_note("Resume with: transfusion fit --ckpt_path last.ckpt")
    expected = f"transfusion: {what}\n{cure}, then resume with: transfusion fit --ckpt_path last.ckpt"
    assert faults.ending(error, "fit") == (expected, 1)


@pytest.mark.parametrize("error", [RuntimeError("shape '[2]' is invalid"), ValueError("out of memory"), KeyError("x")])
def test_what_nobody_foresaw_keeps_its_traceback(error):
    assert faults.ending(error, "fit") is None
    with pytest.raises(type(error)):
        faults.end(error, "fit")


def test_codes():
    assert faults.ending(UserError("a"), "fit") == ("transfusion: a", 2)
    assert faults.ending(Fault("a", "Do b"), "fit") == ("transfusion: a\nDo b, then type the same command again", 1)
    assert faults.ending(KeyboardInterrupt(), "check") == ("Stopped. Nothing was written.", 130)
    assert faults.ending(Stopped(signal.SIGTERM), "compare") == (
        "Stopped (SIGTERM). The same command starts again.",
        143,
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_signal_ends_a_command_and_leaves_the_handlers_as_they_were(name, monkeypatch, capsys):
    number = getattr(signal, name)
    before = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    outside = signal.signal(number, before)  # where the tests run in the background, some are ignored
    monkeypatch.setitem(listing.LISTS, "datasets", lambda: signal.raise_signal(number))
    try:
        with pytest.raises(SystemExit) as end:
            transfusion("list datasets")
        assert end.value.code == 128 + number and signal.getsignal(number) == before
    finally:
        signal.signal(number, outside)
    assert capsys.readouterr().err.startswith("Stopped")


def test_what_nohup_ignores_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with faults.signals_rise():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_output_whose_reader_left_goes_nowhere(monkeypatch):
    reader, writer = os.pipe()
    stream = Output(os.fdopen(writer, "w", buffering=1))
    monkeypatch.setattr("sys.stdout", stream)
    os.close(reader)
    with pytest.raises(BrokenPipeError) as broken:
        stream.write("a line\n")
    assert faults.ending(broken.value, "list") == ("", 128 + signal.SIGPIPE)
    stream.write("more\n")
    stream.flush()


def test_a_broken_pipe_to_somebody_else_is_no_end_of_the_output():
    assert faults.ending(BrokenPipeError(errno.EPIPE, "Broken pipe"), "fit") is None
