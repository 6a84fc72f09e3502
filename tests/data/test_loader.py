"""Loaders whose workers die, or have no room, lose no batch."""

import logging
import os
import signal
from types import SimpleNamespace

import pytest
import torch
from support.tiny import TinyDataModule

from transfusion_cli.data import loader as loaders
from transfusion_cli.data import worker_faults
from transfusion_cli.data.loader import MedicalLoader
from transfusion_cli.data.worker_faults import check_shared_memory, worker_fault
from transfusion_cli.errors import Fault


def same(one, two):
    return len(one) == len(two) and all(torch.equal(a[key], b[key]) for a, b in zip(one, two, strict=True) for key in a)


def dead(number):
    """A process that a signal ended."""
    return SimpleNamespace(exitcode=-number, join=lambda seconds: None)


def test_a_killed_worker_costs_no_batch(caplog):
    expected = list(TinyDataModule(train=64).train_dataloader())
    data = TinyDataModule(train=64, num_workers=1)
    found, others = [], set(torch.multiprocessing.active_children())
    with caplog.at_level(logging.WARNING, "transfusion_cli"):
        for batch in data.train_dataloader():
            found.append(batch)
            if len(found) == 2:
                (worker,) = {*torch.multiprocessing.active_children()} - others
                os.kill(worker.pid, signal.SIGKILL)
    assert same(found, expected)
    assert "killed by the system" in str(data.fault) and "killed by the system" in caplog.text
    assert {*torch.multiprocessing.active_children()} <= others


def test_workers_without_room_cost_no_batch(monkeypatch):
    expected = list(TinyDataModule(other=32).val_dataloader())

    def no_room(tensor):
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"
        )

    monkeypatch.setattr(torch.Tensor, "share_memory_", no_room)
    data = TinyDataModule(other=32, num_workers=2)
    assert same(list(data.val_dataloader()), expected)
    assert "/dev/shm" in str(data.fault) and "--data.num_workers 0" in str(data.fault)


def test_batches_of_workers_are_in_shared_memory():
    """Else a thread of the worker puts them there, and where that fails the main process waits for ever."""
    shared = []

    def collate(samples):
        batch = loaders.collate(samples)
        shared.append(all(tensor.is_shared() for tensor in batch.values()))
        return batch | {"shared": torch.tensor(shared[-1])}

    dataset = TinyDataModule().train_dataloader().dataset
    assert all(batch["shared"] for batch in MedicalLoader(dataset, batch_size=8, collate_fn=collate, num_workers=1))
    assert not any(batch["shared"] for batch in MedicalLoader(dataset, batch_size=8, collate_fn=collate))


def test_other_errors_of_workers_are_not_swallowed():
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            raise RuntimeError("a decoder that is wrong")

    before = set(torch.multiprocessing.active_children())
    with pytest.raises(RuntimeError, match="a decoder that is wrong") as error:
        list(MedicalLoader(Broken(), num_workers=2, persistent_workers=True))
    assert {*torch.multiprocessing.active_children()} <= before, error  # which still holds what was running


def test_torch_does_not_raise_in_the_midst_of_a_step():
    before = signal.getsignal(signal.SIGCHLD)
    next(iter(TinyDataModule(num_workers=1).train_dataloader()))
    assert signal.getsignal(signal.SIGCHLD) == before


@pytest.mark.parametrize(("number", "word"), [(signal.SIGKILL, "memory"), (signal.SIGBUS, "/dev/shm")])
@pytest.mark.parametrize(
    "error", [RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), ConnectionResetError()]
)
def test_what_killed_a_worker_is_told(error, number, word):
    assert word in str(worker_fault(error, [dead(number), dead(0)]))


def test_a_crash_is_not_repeated_in_the_main_process():
    error = RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
    with pytest.raises(Fault, match=r"SIGSEGV.*\n.*data check"):
        worker_fault(error, [dead(signal.SIGSEGV)])


@pytest.mark.parametrize(("free", "fits"), [(2**20, False), (2**22, True)])
def test_shared_memory_is_looked_at_before_training(free, fits, tmp_path, monkeypatch):
    """Four workers with two batches each of 8 x 1 x 256 x 256 bytes need 4 MiB."""
    monkeypatch.setattr(worker_faults, "SHARED", tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=free // 512, f_frsize=512))
    data = TinyDataModule(num_workers=4, image_size=256)
    if fits:
        data.train_dataloader()
        return
    with pytest.raises(Fault, match=r"1\.0 MB free.*4\.2 MB.*\n.*--data.num_workers 0.*--shm-size"):
        data.train_dataloader()


def test_without_workers_or_shared_memory_there_is_nothing_to_fit(tmp_path, monkeypatch):
    check_shared_memory((2**60,), 0)
    monkeypatch.setattr(worker_faults, "SHARED", tmp_path / "none")
    check_shared_memory((2**60,), 8)


def test_a_connection_that_breaks_while_all_workers_live_is_no_fault_of_theirs():
    assert worker_fault(ConnectionResetError(), [dead(0)]) is None
