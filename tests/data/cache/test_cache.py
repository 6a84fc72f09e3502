import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import time
import zlib
from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.cached import batches, count_reads, module, prepared, same
from support.images import build_image_table, picture, save_dicom
from support.tiny import TinyDataModule

from transfusion_cli.data.cache import build as cache_build
from transfusion_cli.data.cache import decoder as cache_decoder
from transfusion_cli.data.cache import files as cache_files
from transfusion_cli.data.cache import opening as cache
from transfusion_cli.data.cache.build import bytes_of
from transfusion_cli.data.cache.place import CachePlace, describe
from transfusion_cli.data.cache.reader import CachedReader
from transfusion_cli.data.reading.hdf5 import HDF5Reader
from transfusion_cli.datasets import PhantomDataModule
from transfusion_cli.errors import UserError


@pytest.fixture
def table(tmp_path):
    return build_image_table(tmp_path / "images", splits=True)


def add_deep_file(table, row=0):
    """Replace one image of the table by a DICOM file with 12 bits."""
    frame = pd.read_csv(table)
    save_dicom(table.parent / "images/deep.dcm", picture(0, depth=16) // 16, 12)
    frame.loc[row, "image"] = "images/deep.dcm"
    frame.to_csv(table, index=False)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_batches_are_bit_identical(table, tmp_path, channels, resize):
    options = {"channels": channels, "resize": resize}
    place = prepared(module(table, **options), tmp_path / "cache")
    expected = {split: batches(module(table, **options), split) for split in ("train", "val", "test")}
    shutil.rmtree(table.parent / "images")  # nothing but the cache is read
    for split, direct in expected.items():
        same(batches(module(table, tmp_path / "cache", **options), split), direct)
    assert bytes_of(place) == 24 * 16 * 16 * channels


def test_workers_read_what_the_main_process_reads(table, tmp_path):
    prepared(module(table), tmp_path / "cache", workers=2)
    same(batches(module(table, tmp_path / "cache", num_workers=2)), batches(module(table)))


def test_layout(table, tmp_path):
    place = prepared(module(table), tmp_path / "cache")
    images = np.load(place.path / "images.npy", mmap_mode="r")
    assert images.shape == (24, 16, 16) and images.dtype == np.uint8
    assert np.load(place.path / "ids.npy").tolist() == pd.read_csv(table)["image"].tolist()
    facts = json.loads((place.path / "index.json").read_text())
    assert (facts["data"], facts["size"], facts["resize"]) == ("ImageTableDataModule", [16, 16], "stretch")
    assert facts["count"] == 24
    records = np.load(place.path / "records.npy")
    files = [table.parent / name for name in pd.read_csv(table)["image"]]
    assert records["size"].tolist() == [path.stat().st_size for path in files]
    assert records["content"].tolist() == [zlib.crc32(path.read_bytes()) for path in files]
    assert records["pixels"].tolist() == [zlib.crc32(image) for image in images]
    assert not place.beside("part").exists()


def test_deep_images_keep_16_bits_and_others_their_8(table, tmp_path):
    add_deep_file(table)
    direct = module(table, batch_size=1, augmentation=None)
    prepared(direct, tmp_path / "cache")
    reader = module(table, tmp_path / "cache").reader_of("train")
    straight, resize = direct.make_reader("train", direct.size), cache_decoder.Resize((16, 16), "stretch")
    deep, shallow = reader(0), reader(1)
    assert deep.dtype == np.float32 and shallow.dtype == np.uint8
    np.testing.assert_allclose(deep, resize(straight(0)), rtol=0, atol=0.5 / 65535 + 1e-7)
    np.testing.assert_array_equal(shallow, resize(straight(1)))
    assert len(np.unique(deep)) > 200  # more than 8 bits would hold of 256 pixels


def test_a_larger_size_serves_and_is_resized(table, tmp_path):
    for size in ((18, 18), (24, 24)):
        prepared(module(table), tmp_path / "cache", size)
    data = module(table, tmp_path / "cache")
    reader = data.reader_of("train")
    assert reader(0).shape == (18, 18)
    (batch, *_) = batches(data)
    assert batch["image"].shape == (4, 1, 16, 16)
    prepared(module(table), tmp_path / "cache", (16, 16))
    assert data.reader_of("train")(0).shape == (16, 16)


@pytest.mark.parametrize(
    ("cached", "wanted", "resize"),
    [((16, 16), 20, "stretch"), ((24, 24), 16, "pad"), ((24, 30), 16, "crop"), ((24, 12), 16, "stretch")],
)
def test_a_size_that_cannot_serve(table, tmp_path, cached, wanted, resize):
    prepared(module(table, resize=resize), tmp_path / "cache", cached)
    with pytest.raises(UserError, match=rf"No decoded images .* at {wanted} in .*cache\n.*--size {wanted}$"):
        batches(module(table, tmp_path / "cache", resize=resize, image_size=wanted))


def test_other_pixels_are_another_cache(table, tmp_path):
    data = module(table)
    keys = [CachePlace.of(data.contents, tmp_path, (16, 16)).key]
    others = (module(table, **options) for options in ({"channels": 3}, {"window": (100.0, 50.0)}, {"resize": "pad"}))
    keys += [CachePlace.of(other.contents, tmp_path, (16, 16)).key for other in others]
    keys.append(CachePlace.of(data.contents, tmp_path, (16, 24)).key)
    frame = pd.read_csv(table)
    frame.iloc[::-1].to_csv(table, index=False)
    keys.append(CachePlace.of(module(table).contents, tmp_path, (16, 16)).key)
    seeds = (CachePlace.of(PhantomDataModule(40, 2, anatomy_seed=s).contents, tmp_path, (16, 16)).key for s in (0, 1))
    assert len({*keys, *seeds}) == len(keys) + 2


def test_the_part_of_the_data_that_a_run_uses_is_no_matter(table, tmp_path):
    prepared(module(table), tmp_path / "cache")
    (tmp_path / "out.txt").write_text("images/000_0.png\n")
    for options in ({"train_fraction": 0.5}, {"exclude": str(tmp_path / "out.txt")}, {"balanced": True}):
        same(batches(module(table, tmp_path / "cache", **options)), batches(module(table, **options)))


def test_a_moved_folder_keeps_its_cache(table, tmp_path):
    expected = batches(module(table))
    prepared(module(table), tmp_path / "cache")
    shutil.move(table.parent, tmp_path / "moved")
    same(batches(module(tmp_path / "moved/table.csv", tmp_path / "cache")), expected)


def test_no_cache_and_the_command_that_makes_it(table, tmp_path):
    with pytest.raises(UserError) as error:
        batches(module(table, tmp_path / "nowhere"))
    assert f"transfusion data prepare --data.cache {tmp_path}/nowhere --size 16" in str(error.value)
    with pytest.raises(UserError, match="at 12x20"):
        batches(module(table, tmp_path / "nowhere", image_size=(12, 20)))


def test_unreadable_images_are_listed_and_can_be_left_out(table, tmp_path):
    (table.parent / "images/002_1.png").write_bytes(b"\x89PNG broken")
    (table.parent / "images/001_0.png").unlink()
    with pytest.raises(
        UserError, match=r"^2 of 24 images cannot be read, .* images/001_0.png \(image not found\)"
    ) as error:
        prepared(module(table), tmp_path / "cache")
    assert len(str(error.value).splitlines()) == 3
    (listed,) = (tmp_path / "cache").glob("*.unreadable.txt")
    assert listed.read_text() == "images/001_0.png\nimages/002_1.png\n"
    assert not open_folders(tmp_path / "cache")
    left_out = {"exclude": str(listed)}
    prepared(module(table, **left_out), tmp_path / "cache")
    same(batches(module(table, tmp_path / "cache", **left_out)), batches(module(table, **left_out)))
    with pytest.raises(UserError, match="2 images of the train split are not in the cache"):
        batches(module(table, tmp_path / "cache"))
    for name in ("002_1", "001_0"):  # mended: the two are added to what is there
        Image.fromarray(picture(5)).save(table.parent / f"images/{name}.png")


def open_folders(folder):
    return [path for path in folder.iterdir() if path.is_dir() and path.suffix != ".part"]


def test_images_left_out_before_are_added(table, tmp_path):
    (tmp_path / "out.txt").write_text("images/000_0.png\n")
    reads = count_reads(module(table, exclude=str(tmp_path / "out.txt")), tmp_path / "cache")
    assert reads == 23
    assert count_reads(module(table), tmp_path / "cache") == 1
    same(batches(module(table, tmp_path / "cache")), batches(module(table)))


def test_a_second_attempt_finds_it_whole(table, tmp_path, caplog):
    prepared(module(table), tmp_path / "cache")
    with caplog.at_level(logging.INFO):
        assert count_reads(module(table), tmp_path / "cache") == 0
    assert "found whole" in caplog.text


def test_disk_space_is_looked_at_first(table, tmp_path, monkeypatch):
    add_deep_file(table)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(cache_build.shutil, "disk_usage", lambda _: usage(0, 0, 24 * 256 - 1))
    with pytest.raises(UserError, match=r"^6,912 bytes are needed .* 6,143 are free in .*cache\n.*--size"):
        prepared(module(table), tmp_path / "cache")  # one of the eight images looked at is deep
    assert not open_folders(tmp_path / "cache")


def test_a_full_disk_is_an_error_and_no_crash(table, tmp_path, monkeypatch):
    def write(writer, position, image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_decoder._Writer, "write", write)
    with pytest.raises(
        UserError, match=r"Could not write .*: No space left on device; .* MB are free there\n.*--data.cache, then"
    ):
        prepared(module(table), tmp_path / "cache")


def test_readers_pickle_and_share(table, tmp_path):
    prepared(module(table), tmp_path / "cache")
    reader = module(table, tmp_path / "cache").reader_of("train")
    image = reader(0)
    image[:] = 0  # a copy: the next reader must not see this
    copy = pickle.loads(pickle.dumps(reader))
    assert isinstance(copy, CachedReader) and not copy._arrays
    assert len(pickle.dumps(reader)) < 5000  # and not the pixels
    np.testing.assert_array_equal(copy(0), reader(0))
    assert reader(0).any()


def test_images_in_arrays(tmp_path):
    data = TinyDataModule(side=20, image_size=16)
    prepared(data, tmp_path / "cache")
    same(batches(TinyDataModule(side=20, image_size=16, cache=str(tmp_path / "cache"))), batches(data))


def test_other_arrays_are_another_cache(tmp_path):
    one, two = TinyDataModule(), TinyDataModule()
    keys = {CachePlace.of(one.contents, tmp_path, (16, 16)).key}
    two.images = two.images[:, ::-1]
    keys |= {CachePlace.of(data.contents, tmp_path, (16, 16)).key for data in (two, TinyDataModule(side=20))}
    assert len(keys) == 3
    assert CachePlace.of(TinyDataModule().contents, tmp_path, (16, 16)).key in keys


def test_a_moved_file_of_many_images_keeps_its_cache():
    described = [describe(HDF5Reader(Path(path), "x", 0)) for path in ("a/x.h5", "b/x.h5", "b/y.h5")]
    assert described[0] == described[1] != described[2]


def test_a_reader_may_describe_itself():
    class Drawn:
        def __init__(self, seed):
            self.steps = [seed]  # of no kind that is told apart from outside

        def describe(self):
            return f"seed {self.steps[0]}"

    assert describe(Drawn(0)) == describe(Drawn(0)) != describe(Drawn(1))


def test_a_worker_that_dies(table, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_decoder.Decoder, "read", lambda decoder, position: os._exit(1))
    monkeypatch.setattr(cache_build, "PROBES", 0)
    monkeypatch.setattr(cache_build, "CHUNK", 4)
    with pytest.raises(UserError, match="was killed: out of memory"):
        prepared(module(table), tmp_path / "cache", workers=2)


SLOW = """
import sys, time
from pathlib import Path
from transfusion_cli.data.cache import build as cache_build
from transfusion_cli.data.cache import decoder as cache_decoder
from transfusion_cli.datasets import ImageTableDataModule
table, folder, seconds, workers = sys.argv[1:]
cache_build.SAVE_EVERY, cache_build.CHUNK, cache_build.PROBES = 0.0, 1, 0
whole = cache_decoder.Decoder.read
def read(decoder, position):
    time.sleep(float(seconds))
    return whole(decoder, position)
cache_decoder.Decoder.read = read
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
data = ImageTableDataModule(table=table, channels=1, image_size=16)
cache_build.build_cache(data.contents, Path(folder), (16, 16), int(workers), progress=False)
print("done", flush=True)
"""


def start(table, folder, seconds, workers):
    arguments = [str(table), str(folder), str(seconds), str(workers)]
    repository = Path(cache.__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_images(folder, count):
    """Wait until so many images are noted as decoded."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        for path in folder.glob("*.part/records.npy"):
            if (np.load(path)["state"] != cache_files.ABSENT).sum() >= count:
                return
        time.sleep(0.05)
    raise AssertionError("nothing was decoded")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_resumed(table, tmp_path, workers):
    process = start(table, tmp_path / "cache", 0.3, workers)
    wait_for_images(tmp_path / "cache", 4)
    process.kill()
    process.communicate()
    assert not open_folders(tmp_path / "cache")
    assert 0 < count_reads(module(table), tmp_path / "cache") <= 20  # its workers hold no lock
    same(batches(module(table, tmp_path / "cache")), batches(module(table)))


@pytest.mark.slow
def test_two_builders_at_once(table, tmp_path, caplog):
    process = start(table, tmp_path / "cache", 0.2, 0)
    wait_for_images(tmp_path / "cache", 1)
    with caplog.at_level(logging.INFO):
        assert count_reads(module(table), tmp_path / "cache") == 0
    assert "another process is preparing these images; waiting" in caplog.text and "found whole" in caplog.text
    assert process.communicate()[0].strip() == "done"
    same(batches(module(table, tmp_path / "cache")), batches(module(table)))
