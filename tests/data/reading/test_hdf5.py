import gzip
import multiprocessing
import os
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from transfusion_cli.data.cache.place import describe
from transfusion_cli.data.reading.hdf5 import HDF5Reader, open_array
from transfusion_cli.errors import UserError


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("hdf5") / "images.h5"
    with h5py.File(path, "w") as file:
        file["x"] = images
    return path


def test_rows_are_counted_from_the_first(path, images):
    read = HDF5Reader(path, "x", 100)
    assert all((read(100 + i) == images[i]).all() for i in (0, 39, 7, 7))
    assert read(100).dtype == np.uint8
    read.verify(np.arange(100, 140))
    assert describe(read) == describe(HDF5Reader(path, "x", 0))  # opening it changes no cache key


def test_pickles_with_the_file_open(path, images):
    read = HDF5Reader(path, "x", 0)
    read(3)
    assert (pickle.loads(pickle.dumps(read))(5) == images[5]).all()


def _in_child(read, row, answers):
    before = read._opened
    image = read(row)
    answers.put((os.getpid(), before[0], read._opened[0], image))


def test_every_process_opens_the_file_for_itself(path, images):
    """A handle taken over a fork would be shared with the parent."""
    read = HDF5Reader(path, "x", 0)
    read(0)
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=_in_child, args=(read, 5, answers))
    child.start()
    pid, inherited, opened, image = answers.get()
    child.join()
    assert inherited == os.getpid() != pid == opened
    assert (image == images[5]).all() and (read(6) == images[6]).all()


def test_threads_share_a_reader(path, images):
    read = HDF5Reader(path, "x", 0)
    with ThreadPoolExecutor(8) as pool:
        for i, image in enumerate(pool.map(read, [k % 40 for k in range(400)])):
            assert (image == images[i % 40]).all()


def test_gzipped_arrays_are_read_in_memory(path, images, tmp_path):
    packed = tmp_path / "images.h5.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert (open_array(packed, "x")[:] == images).all()
    packed.write_bytes(packed.read_bytes()[:500])
    with pytest.raises(UserError, match=r"Cannot read .*images\.h5\.gz"):
        open_array(packed, "x")
    assert list(tmp_path.iterdir()) == [packed]


def test_mistakes(path, tmp_path):
    with pytest.raises(UserError, match="No array 'y'"):
        open_array(path, "y")
    page = tmp_path / "page.h5"
    page.write_text("<html>Google Drive cannot scan this file for viruses</html>")
    with pytest.raises(UserError, match=r"Cannot read .*page\.h5"):
        open_array(page, "x")
    short = tmp_path / "short.h5"
    short.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UserError, match=r"(?s)2 of 2 images cannot be read.*short\.h5"):
        HDF5Reader(short, "x", 0).verify(np.array([0, 1]))


def test_arrays_in_other_files_are_refused(path, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("not for everyone")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["external"] = h5py.ExternalLink(str(path), "/x")
        file["soft"] = h5py.SoftLink("/external")
        file.create_dataset("raw", (16,), np.uint8, external=[(str(secret), 0, 16)])
        layout = h5py.VirtualLayout((40, 8, 8, 3), np.uint8)
        layout[:] = h5py.VirtualSource(path, "x", (40, 8, 8, 3))
        file.create_virtual_dataset("virtual", layout)
        file["group/x"] = np.zeros(3)
        file["text"] = ["a", "b"]
    for name, reason in {
        "external": "is a link",
        "soft": "is a link",
        "raw": "in other files",
        "virtual": "in other files",
        "group": "no array of numbers",
        "text": "no array of numbers",
    }.items():
        with pytest.raises(UserError, match=rf"Cannot read .*links\.h5\n'{name}' .*{reason}") as caught:
            open_array(tmp_path / "links.h5", name)
        assert len(str(caught.value).splitlines()) == 3


def test_what_would_fill_the_memory_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (10**6, 96, 96, 3), np.uint8, chunks=(10**5, 96, 96, 3))
    with pytest.raises(UserError, match="to read one would fill the memory"):
        open_array(tmp_path / "a.h5", "x")
    (tmp_path / "b.h5.gz").write_bytes(gzip.compress(bytes(10**8)))
    tracemalloc.start()
    with pytest.raises(UserError, match="it unpacks to more than 67,108,864 bytes"):
        open_array(tmp_path / "b.h5.gz", "x")
    assert tracemalloc.get_traced_memory()[1] < 1.5e8
    tracemalloc.stop()
