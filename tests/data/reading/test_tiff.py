import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile

from transfusion_cli.data.reading import limits
from transfusion_cli.data.reading.images import read_image
from transfusion_cli.errors import UserError

VALUES = np.random.default_rng(0).random((40, 30, 3)).astype(np.float32)


def write(path, compression=None, **options):
    tifffile.imwrite(path, VALUES, photometric="rgb", compression=compression, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}, {"tile": (16, 16)}, {"planarconfig": "separate"}])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_floating_point_colour(tmp_path, compression, options):
    values = np.moveaxis(VALUES, 2, 0) if "planarconfig" in options else VALUES
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression=compression, **options)
    np.testing.assert_allclose(read_image(path, 3), VALUES, atol=1e-6)


def bomb(path, size):
    """A strip that should hold 14,400 bytes and goes on with zeros."""
    stream = zlib.compressobj(9)
    packed = stream.compress(VALUES.tobytes())
    for _ in range(size // 10**6):
        packed += stream.compress(bytes(10**6))
    packed += stream.flush()
    write(path, "zlib", rowsperstrip=40)
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        places = {name: tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")}
        kinds = {name: tags[name].dtype.name for name in places}
    content = bytearray(path.read_bytes())
    for name, value in {"StripOffsets": len(content), "StripByteCounts": len(packed)}.items():
        width = {"SHORT": 2, "LONG": 4}[kinds[name]]
        content[places[name] : places[name] + width] = value.to_bytes(width, "little")
    path.write_bytes(content + packed)
    return path


def test_a_strip_that_unpacks_to_more_than_it_should(tmp_path):
    path = bomb(tmp_path / "a.tif", 200 * 10**6)
    assert path.stat().st_size < 300_000
    tracemalloc.start()
    with pytest.raises(UserError, match="it unpacks to more than the 14,400 bytes"):
        read_image(path, 3)
    assert tracemalloc.get_traced_memory()[1] < 30 * 10**6
    tracemalloc.stop()


def test_impossible_sizes_and_unknown_compression(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"compression .*LZMA.* is not read"):
        read_image(write(tmp_path / "a.tif", "lzma"), 3)
    monkeypatch.setattr(limits, "MAX_BYTES", 40 * 30 * 12 - 1)
    with pytest.raises(UserError, match="40 x 30 pixels are more than"):
        read_image(write(tmp_path / "b.tif"), 3)


def test_damaged_files(tmp_path):
    content = write(tmp_path / "a.tif", "zlib").read_bytes()
    for number, end in enumerate((8, 60, 200, 1000, len(content) - 500)):
        for name, damaged in ((f"{number}.tif", content[:end]), (f"{number}b.tif", content[:end] + bytes(900))):
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(UserError, match="Not a readable image"):
                read_image(tmp_path / name, 3)
