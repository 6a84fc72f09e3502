"""What damaged and hostile DICOM files do; what sound ones give is in ``test_images``."""

import io
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit
from support.images import picture, save_dicom

from transfusion_cli.data.reading.images import read_image
from transfusion_cli.errors import UserError


def deflate(path, more=0, preamble=True):
    """Rewrite a file with all but its meta header deflated, and so many zeros after its pixels."""
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    pydicom.dcmwrite(path, header)
    content = path.read_bytes()
    start = 132 + 12 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = stream.compress(zlib.decompress(content[start:], -zlib.MAX_WBITS))
    for _ in range(more // 10**6):
        packed += stream.compress(bytes(10**6))
    path.write_bytes(content[0 if preamble else 132 : start] + packed + stream.flush())
    return path


@pytest.mark.parametrize("preamble", [True, False])
def test_deflated(tmp_path, preamble):
    path = deflate(save_dicom(tmp_path / "a.dcm", picture(0), 8), preamble=preamble)
    np.testing.assert_array_equal(read_image(path, 1), picture(0))


@pytest.mark.parametrize("preamble", [True, False])
def test_a_deflated_bomb(tmp_path, preamble):
    path = deflate(save_dicom(tmp_path / "a.dcm", picture(0), 8), 200 * 10**6, preamble)
    assert path.stat().st_size < 300_000
    tracemalloc.start()
    with pytest.raises(UserError, match=r"Not a readable image: .*a.dcm\nit unpacks to more than the 16,777,696 bytes"):
        read_image(path, 1)
    assert tracemalloc.get_traced_memory()[1] < 60 * 10**6
    tracemalloc.stop()


def test_damaged_deflate(tmp_path):
    path = deflate(save_dicom(tmp_path / "a.dcm", picture(0), 8))
    path.write_bytes(path.read_bytes()[:400] + bytes(100))
    with pytest.raises(UserError, match=r"Not a readable image: .*a.dcm"):
        read_image(path, 1)


def test_impossible_sizes(tmp_path):
    path = save_dicom(tmp_path / "a.dcm", picture(0), 8, Rows=60_000, Columns=60_000)
    with pytest.raises(UserError, match="60,000 x 60,000 pixels are more than"):
        read_image(path, 1)


def test_a_frame_larger_than_the_header_says(tmp_path, monkeypatch):
    """Pillow, which decodes the frames, keeps its own limit."""
    path = save_dicom(tmp_path / "a.dcm", picture(0), 8)
    frame = io.BytesIO()
    Image.new("L", (300, 300)).save(frame, "JPEG")
    file = pydicom.dcmread(path)
    file.PixelData = encapsulate([frame.getvalue()])
    file["PixelData"].is_undefined_length = True
    file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    file.save_as(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)  # twice that is an error
    with pytest.raises(UserError, match=r"Not a readable image: .*a.dcm"):
        read_image(path, 1)


@pytest.mark.parametrize("slope", ["nan", "inf"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "SIGMOID"}])
@pytest.mark.parametrize("level", [0, 1])
def test_values_that_are_no_numbers(tmp_path, slope, window, level):
    """Of an infinite one (level 1) a sigmoid would make a fine white."""
    pixels = np.full((4, 5), level, np.uint16)
    path = save_dicom(tmp_path / "a.dcm", pixels, 12, RescaleSlope=1, RescaleIntercept=0, **window)
    path.write_bytes(path.read_bytes().replace(b"DS\x04\x001.0 ", b"DS\x04\x00" + slope.encode() + b" "))
    with pytest.raises(UserError, match="20 of its pixels are NaN or infinite"):
        read_image(path, 1)


def test_pydicom_does_not_speak(tmp_path):
    """Of elements without the types that the meta header promises. In a process of its own: pytest catches warnings."""
    path = save_dicom(tmp_path / "a.dcm", picture(0), 8)
    content, header, plain = path.read_bytes(), pydicom.dcmread(path), io.BytesIO()
    pydicom.dcmwrite(plain, pydicom.Dataset(dict(header.items())), implicit_vr=True, little_endian=True)
    path.write_bytes(content[: content.index(b"\x08\x00\x16\x00UI")] + plain.getvalue())
    with pytest.warns(UserWarning, match="Expected explicit VR"):
        pydicom.dcmread(path)
    code = f"from transfusion_cli.data.reading.images import read_image; read_image({str(path)!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
