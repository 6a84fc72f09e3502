import numpy as np
import pytest
import tifffile
from PIL import EpsImagePlugin, Image
from support.images import picture, save_dicom, save_picture

from transfusion_cli.data.reading.images import read_image
from transfusion_cli.errors import UserError


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_grey_8_bit(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", picture(0))
    np.testing.assert_array_equal(read_image(path, 1), picture(0))
    np.testing.assert_array_equal(read_image(path, 3), np.repeat(picture(0)[..., None], 3, 2))


def test_jpeg_and_its_decoding_at_reduced_size(tmp_path):
    path = save(tmp_path / "a.jpg", picture(0, (400, 600)), quality=95)
    whole, reduced = read_image(path, 1), read_image(path, 1, at_least=(40, 40))
    assert whole.shape == (400, 600)
    assert np.abs(whole.astype(int) - picture(0, (400, 600))).mean() < 3
    assert reduced.shape == (100, 150)  # the smallest with sides of twice 40


def test_colour_to_grey_and_transparency(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    rgba = np.concatenate([rgb, np.full((9, 7, 1), 10, np.uint8)], axis=2)
    for path in (save(tmp_path / "a.png", rgb), save(tmp_path / "b.png", rgba)):
        np.testing.assert_array_equal(read_image(path, 3), rgb)
        np.testing.assert_allclose(read_image(path, 1), rgb @ [0.299, 0.587, 0.114], atol=1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_keeps_its_depth(tmp_path, suffix):
    deep = picture(0, depth=16)
    path = save(tmp_path / f"a.{suffix}", deep)
    read = read_image(path, 1)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, deep / 65535, atol=1e-6)
    windowed = read_image(path, 3, window=(30000, 20000))
    np.testing.assert_allclose(windowed[..., 1], np.clip((deep.astype(float) - 20000) / 20000, 0, 1), atol=1e-6)


def test_16_bit_colour_is_read_with_8_bits(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (8, 9, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", 3), deep >> 8)


def test_tiff_that_only_tifffile_reads(tmp_path):
    values = np.random.default_rng(0).random((8, 9, 3)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    np.testing.assert_allclose(read_image(tmp_path / "a.tif", 3), values, atol=1e-6)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif", 1), values @ [0.299, 0.587, 0.114], atol=1e-6)


def test_float_tiff_needs_a_window(tmp_path):
    values = np.linspace(-1000, 1000, 20, dtype=np.float32).reshape(4, 5)
    path = save(tmp_path / "a.tif", values)
    np.testing.assert_allclose(read_image(path, 1, (0, 2000)), (values + 1000) / 2000, atol=1e-6)
    with pytest.raises(UserError, match=r"from -1000.0 to 1000.0: say which to show with window"):
        read_image(path, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("window", [None, (0.5, 1)])
@pytest.mark.parametrize("colour", [False, True])
def test_a_pixel_that_is_no_number(tmp_path, value, window, colour):
    values = np.random.default_rng(0).random((8, 9, 3) if colour else (8, 9)).astype(np.float32)
    values[3, 4] = value
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if colour else "minisblack")
    with pytest.raises(
        UserError, match=r"Not a readable image: .*a.tif\n[13] of its pixels are NaN or infinite\n"
    ) as caught:
        read_image(tmp_path / "a.tif", 1, window)
    assert len(str(caught.value).splitlines()) == 3


def test_eps_under_another_name_starts_nothing(tmp_path, monkeypatch):
    def start(*args, **kwargs):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", start)
    Image.fromarray(picture(0)).save(tmp_path / "a.eps")
    for name in ("a.png", "a.tif", "a"):
        (tmp_path / name).write_bytes((tmp_path / "a.eps").read_bytes())
        with pytest.raises(UserError, match="Not a readable image"):
            read_image(tmp_path / name, 1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "gif", "ppm", "pgm", "jp2"])
def test_kinds_of_files(tmp_path, suffix):
    read = read_image(save(tmp_path / f"a.{suffix}", picture(0)), 1)
    assert np.abs(read.astype(int) - picture(0)).mean() < 6
    (tmp_path / "a").write_bytes((tmp_path / f"a.{suffix}").read_bytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a", 1), read)


def test_exif_turns_the_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = save(tmp_path / "a.jpg", picture(0, (32, 64)), exif=exif, quality=95)
    upright = np.rot90(picture(0, (32, 64)), -1)
    assert np.abs(read_image(path, 1).astype(int) - upright).mean() < 4


def test_unreadable_files_are_named(tmp_path):
    whole = save_picture(tmp_path / "whole.png", 0, (200, 200))
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:3000])
    jpeg = save_picture(tmp_path / "whole.jpg", 0, (200, 200))
    (tmp_path / "cut.jpg").write_bytes(jpeg.read_bytes()[:2000])
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.dcm").write_text("not an image")
    (tmp_path / "unknown").write_text("not an image")
    for name in ("cut.png", "cut.jpg", "text.png", "empty.jpg", "text.dcm", "unknown"):
        with pytest.raises(UserError, match=rf"Not a readable image: .*{name}") as caught:
            read_image(tmp_path / name, 1)
        assert len(str(caught.value).splitlines()) == 3
    with pytest.raises(UserError, match=r"Image not found: .*absent.png"):
        read_image(tmp_path / "absent.png", 1)


CT = np.arange(-1000, 1000, 5, dtype=np.int16).reshape(20, 20)


def test_dicom_rescaled_and_windowed(tmp_path):
    stored = (CT + 1024).astype(np.uint16)
    path = save_dicom(
        tmp_path / "a.dcm",
        stored,
        12,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=[40, 600],
        WindowWidth=[400, 1],
    )
    # PS3.3 C.11.2.1.2: the formula of the standard for a linear window.
    expected = np.clip((CT - (40 - 0.5)) / (400 - 1) + 0.5, 0, 1)
    np.testing.assert_allclose(read_image(path, 1), expected, atol=1e-6)
    np.testing.assert_allclose(read_image(path, 1, window=(0, 1000)), np.clip((CT + 500) / 1000, 0, 1), atol=1e-6)


def test_dicom_without_suffix_signed_and_without_window(tmp_path):
    path = save_dicom(tmp_path / "IM0001", CT, 16)
    np.testing.assert_allclose(read_image(path, 1), (CT + 1000) / (CT.max() + 1000), atol=1e-6)


def test_dicom_monochrome1_and_8_bits(tmp_path):
    pixels = picture(0)
    plain = save_dicom(tmp_path / "a.dcm", pixels, 8)
    inverted = save_dicom(tmp_path / "b.dcm", 255 - pixels, 8, PhotometricInterpretation="MONOCHROME1")
    for path in (plain, inverted):
        np.testing.assert_array_equal(read_image(path, 1), pixels)


def test_dicom_sigmoid_window_agrees_with_pydicom(tmp_path):
    from pydicom import dcmread
    from pydicom.pixels import apply_windowing

    path = save_dicom(
        tmp_path / "a.dcm", picture(0, depth=16) // 16, 12, WindowCenter=2000, WindowWidth=900, VOILUTFunction="SIGMOID"
    )
    header = dcmread(path)
    np.testing.assert_allclose(read_image(path, 1), apply_windowing(header.pixel_array, header) / 4095, atol=1e-4)


def test_dicom_colour_and_several_frames(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(save_dicom(tmp_path / "a.dcm", rgb, 8), 3), rgb)
    frames = save_dicom(tmp_path / "b.dcm", picture(0), 8, NumberOfFrames=4)
    with pytest.raises(UserError, match="4 frames"):
        read_image(frames, 1)


def test_truncated_dicom(tmp_path):
    path = save_dicom(tmp_path / "a.dcm", picture(0), 8)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"Not a readable image: .*a.dcm"):
        read_image(path, 1)
