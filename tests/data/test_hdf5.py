import gzip
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from transfusion_cli.data.cache_place import describe
from transfusion_cli.data.hdf5 import HDF5Reader, open_array
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
    with pytest.raises(UserError, match=r"cannot read .*images\.h5\.gz"):
        open_array(packed, "x")
    assert list(tmp_path.iterdir()) == [packed]


def test_mistakes(path, tmp_path):
    with pytest.raises(UserError, match="no array 'y'"):
        open_array(path, "y")
    page = tmp_path / "page.h5"
    page.write_text("<html>Google Drive cannot scan this file for viruses</html>")
    with pytest.raises(UserError, match=r"cannot read .*page\.h5"):
        open_array(page, "x")
    short = tmp_path / "short.h5"
    short.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UserError, match=r"(?s)2 of 2 images cannot be read.*short\.h5"):
        HDF5Reader(short, "x", 0).verify(np.array([0, 1]))
