"""What all tests share: one thread each unless told otherwise, and no run folder inherited from outside."""

import gc
import logging
import os
import signal
import sys

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes share two cores; set before torch is loaded
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["TRANSFUSION_TRUST"] = "support"  # configs name TinyDataModule, and their checkpoints after them
os.environ.pop("TRANSFUSION_RUN_FOLDER", None)

settings.register_profile("any machine", deadline=None)  # which may be busy
settings.load_profile("any machine")

# Tests press Ctrl-C, which a shell that starts them in the background has ignored by all that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST = ("test_mask_processes.py", "test_processes.py", "test_two_processes.py", "test_readme.py")


def pytest_collection_modifyitems(items):
    """Begin with the longest files, beside which the other process does many: none is alone at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_collection_finish():
    """What modules and tests hold stays to the end: collections look at the rest alone, in a fraction of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def modules_to_find(monkeypatch):
    """A command that trusts modules of the user's own looks for them where it runs, which is gone with its test."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture(autouse=True)
def log_level():
    """Every test meets our log at the level of one that runs alone: a command run before it has raised it to INFO."""
    logging.getLogger("transfusion_cli").setLevel(logging.NOTSET)
