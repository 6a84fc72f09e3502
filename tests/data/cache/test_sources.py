"""Files that changed after a cache was made from them."""

import logging
import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.cached import batches, count_reads, module, prepared, same
from support.images import build_image_table, picture
from support.medmnist import build_medmnist
from support.tiny import TinyDataModule

from transfusion_cli.data.cache import build as cache_build
from transfusion_cli.data.cache import place as cache_place
from transfusion_cli.data.cache import sources as cache_sources
from transfusion_cli.data.cache.sources import Sources
from transfusion_cli.data.reading.hdf5 import HDF5Reader
from transfusion_cli.datasets import MedMNISTDataModule
from transfusion_cli.errors import UserError


@pytest.fixture
def table(tmp_path):
    return build_image_table(tmp_path / "images", splits=True)


def set_back(path, facts, nanoseconds=0):
    """Give a file the times of its former self, or nearly."""
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + nanoseconds))


def change_content(path):
    """Change a file without changing its size."""
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_no_replaced_file_among_many_goes_unnoticed(tmp_path):
    table = build_image_table(tmp_path / "images", patients=160, splits=True)
    prepared(module(table), tmp_path / "cache")
    files = sorted((table.parent / "images").iterdir())
    for path in files[4:15:5]:
        Image.new("L", (24, 20), 255).save(path)
    with pytest.raises(UserError) as error:
        batches(module(table, tmp_path / "cache"))
    first, second, third = str(error.value).splitlines()
    assert first == f"images/{files[4].name} is not the file that the cache was made from, nor are 2 others"
    assert second.startswith(f"in {tmp_path}/cache/16x16-")
    assert third.endswith(f"transfusion data prepare --data.cache {tmp_path}/cache --size 16")
    assert count_reads(module(table), tmp_path / "cache") == 3
    same(batches(module(table, tmp_path / "cache")), batches(module(table)))


@pytest.mark.parametrize("change", ["size", "content", "time", "nothing", "absent"])
def test_size_and_content_decide(table, tmp_path, change):
    prepared(module(table), tmp_path / "cache")
    name = table.parent / "images/003_1.png"
    facts = name.stat()
    match change:
        case "size":
            name.write_bytes(name.read_bytes() + b"\0")
        case "content":
            change_content(name)
        case "absent":
            name.unlink()
    if change != "absent":
        set_back(name, facts, {"size": 0, "content": 1, "time": 1, "nothing": 0}[change])
    if change in ("size", "content"):
        with pytest.raises(UserError, match=r"^images/003_1.png is not the file that the cache was made from\n"):
            batches(module(table, tmp_path / "cache"))
    else:
        batches(module(table, tmp_path / "cache"))


def test_a_copied_data_set_is_read_once_and_its_times_noted_by_prepare(table, tmp_path, monkeypatch, caplog):
    prepared(module(table), tmp_path / "cache")
    expected = batches(module(table))
    for path in (table.parent / "images").iterdir():
        os.utime(path, ns=(0, 0))
    monkeypatch.setattr(cache_sources, "PATIENCE", 0.0)
    read, content = [], Sources._content
    monkeypatch.setattr(Sources, "_content", lambda *given: read.append(given) or content(*given))
    with caplog.at_level(logging.INFO):
        same(batches(module(table, tmp_path / "cache")), expected)
    assert len(read) == 24
    assert count_reads(module(table), tmp_path / "cache") == 0 and len(read) == 48
    same(batches(module(table, tmp_path / "cache")), expected)
    assert len(read) == 48


@pytest.mark.parametrize("crash", [False, True])
def test_what_a_run_reads_does_not_change_under_it(table, tmp_path, monkeypatch, crash):
    prepared(module(table), tmp_path / "cache")
    expected = batches(module(table))
    running = module(table, tmp_path / "cache").train_dataloader()
    for path in (table.parent / "images").glob("00*"):
        Image.new("L", (24, 20), 255).save(path)
    if crash:
        with monkeypatch.context() as power, pytest.raises(KeyboardInterrupt):
            power.setattr(cache_build, "save_array", stop)
            prepared(module(table), tmp_path / "cache")
    assert count_reads(module(table), tmp_path / "cache") == 20
    same(list(running), expected)
    same(batches(module(table, tmp_path / "cache")), batches(module(table)))


def stop(*_):
    raise KeyboardInterrupt


def test_says_once_what_takes_long(monkeypatch, caplog):
    monkeypatch.setattr(cache_sources, "PATIENCE", 0.05)
    slow = SimpleNamespace(wait=lambda position: __import__("time").sleep(0.02) or position)
    with caplog.at_level(logging.INFO):
        assert cache_sources._in_threads(slow.wait, np.arange(200), "looking at the times of") == list(range(200))
        monkeypatch.setattr(cache_sources, "PATIENCE", 60)
        assert cache_sources._in_threads(int, np.arange(200), "reading") == list(range(200))
    assert caplog.messages == ["looking at the times of 200 files that the cache is made from"]


def test_looked_at_once_in_a_run_and_by_one_process_of_a_machine(table, tmp_path, monkeypatch):
    prepared(module(table), tmp_path / "cache")
    looked, replaced = [], Sources.replaced
    monkeypatch.setattr(Sources, "replaced", lambda *given: looked.append(given) or replaced(*given))
    data = module(table, tmp_path / "cache")
    for split in ("train", "val", "test"):
        batches(data, split)
    assert len(looked) == 1
    second = module(table, tmp_path / "cache")
    second.trainer = SimpleNamespace(local_rank=1)
    second.reader_of("train")
    assert len(looked) == 1
    second.trainer.local_rank = 0
    second.reader_of("train")
    assert len(looked) == 2


def test_what_changes_while_it_is_decoded_is_noticed_later(table, tmp_path, monkeypatch):
    name = table.parent / "images/003_1.png"
    whole = cache_sources.FileReader.__call__

    def read(reader, row):
        image = whole(reader, row)
        if reader.paths[row] == "images/003_1.png":
            Image.fromarray(picture(77)).save(name)
        return image

    with monkeypatch.context() as patched:
        patched.setattr(cache_sources.FileReader, "__call__", read)
        prepared(module(table), tmp_path / "cache")
    with pytest.raises(UserError, match=r"^images/003_1.png is not the file"):
        batches(module(table, tmp_path / "cache"))


@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_that_holds_many_images(tmp_path, compressed):
    def medmnist(cache=None):
        options = {"root": str(tmp_path), "image_size": 28, "num_workers": 0, "cache": cache}
        return MedMNISTDataModule("pneumoniamnist", **options)

    path = build_medmnist(tmp_path, compressed=compressed)
    prepared(medmnist(), tmp_path / "cache", (28, 28))
    os.utime(path, ns=(0, 0))
    batches(medmnist(str(tmp_path / "cache")))
    with np.load(path) as file:
        arrays = dict(file)
    arrays["train_images"][1] = 255  # not one of those that the name of the cache is made from
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    with pytest.raises(UserError, match=r"^pneumoniamnist.npz is not the file that the cache was made from\n"):
        batches(medmnist(str(tmp_path / "cache")))
    assert count_reads(medmnist(), tmp_path / "cache", (28, 28)) == 48
    same(batches(medmnist(str(tmp_path / "cache"))), batches(medmnist()))


@pytest.mark.parametrize("compressed", [True, False])
def test_the_way_to_a_file_is_no_matter(tmp_path, monkeypatch, compressed):
    """Mapped files know their whole path, whatever was given; a link is another name of the same file."""
    build_medmnist(tmp_path / "real", compressed=compressed)
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    data = [
        MedMNISTDataModule("pneumoniamnist", root=str(root), image_size=28)
        for root in ("real", tmp_path / "real", "linked", "linked/../real")
    ]
    places = [cache_place.CachePlace.of(one.contents, tmp_path / "cache", (28, 28)) for one in data]
    assert len({place.key for place in places}) == 1
    assert [len(place.sources.held) for place in places] == [1, 1, 1, 1]


def test_files_of_three_splits(tmp_path):
    import h5py

    class Data(TinyDataModule):
        def make_reader(self, split, size):
            return HDF5Reader(tmp_path / f"{split}.h5", "x", 0)

    for split in ("train", "val", "test"):
        with h5py.File(tmp_path / f"{split}.h5", "w") as file:
            file["x"] = TinyDataModule().images
    prepared(Data(), tmp_path / "cache")
    options = {"cache": str(tmp_path / "cache")}
    batches(Data(**options))
    shutil.copy(tmp_path / "val.h5", tmp_path / "copy")
    change_content(tmp_path / "val.h5")
    os.utime(tmp_path / "val.h5", ns=(0, 0))
    with pytest.raises(UserError, match=r"^val.h5 is not the file"):
        batches(Data(**options))
    (tmp_path / "val.h5").unlink()  # the cache is enough
    batches(Data(**options))


def test_caches_of_another_format_are_not_found(table, tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(cache_place, "FORMAT", cache_place.FORMAT - 1)
        prepared(module(table), tmp_path / "my cache")
    with pytest.raises(UserError) as error:
        batches(module(table, tmp_path / "my cache"))
    assert re.search(
        rf"^No decoded images .*\n.* transfusion data prepare --data.cache '{tmp_path}/my cache' --size 16$",
        str(error.value),
    )
