import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

import transfusion_cli
from transfusion_cli.data.reading.npz import read_header, read_npz
from transfusion_cli.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def lie(path, shape, content, compression=zipfile.ZIP_DEFLATED):
    """Write an array whose header says what it likes."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", file.getvalue() + content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(tmp_path, save, order):
    save(tmp_path / "a.npz", x=np.asarray(IMAGES, order=order))
    assert read_header(tmp_path / "a.npz", "x") == ((5, 4, 3), np.dtype(np.uint8))
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", "x"), IMAGES)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_header_that_promises_more_than_there_is(tmp_path, compression):
    path = lie(tmp_path / "a.npz", (10**12,), IMAGES.tobytes(), compression)
    with pytest.raises(UserError, match=r"Cannot read 'x' of .*\n1,000,000,000,000 bytes are promised and 60 there"):
        read_npz(path, "x")


def test_what_lies_behind_an_array_is_not_unpacked(tmp_path):
    path = lie(tmp_path / "a.npz", (5, 4, 3), IMAGES.tobytes() + bytes(10**8))
    tracemalloc.start()
    assert read_header(path, "x")[0] == (5, 4, 3)
    np.testing.assert_array_equal(read_npz(path, "x"), IMAGES)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_no_program_of_ours_reads_pickles():
    sources = [path.read_text(encoding="utf-8") for path in Path(transfusion_cli.__file__).parent.rglob("*.py")]
    assert not any("allow_pickle=True" in source for source in sources)
