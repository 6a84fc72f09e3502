import numpy as np
import pytest
from PIL import Image
from support.images import build_image_table, picture, save_dicom
from support.tiny import TinyDataModule

from transfusion_cli.data.reading.intensity import scale
from transfusion_cli.datasets import ImageTableDataModule
from transfusion_cli.inspection.depth import depth_of, depth_remark
from transfusion_cli.inspection.report import inspect

DEEP = picture(0, depth=16)


@pytest.mark.parametrize(
    ("peak", "bits", "share"), [(4080, 12, "6.2 %"), (4095, 12, "6.2 %"), (4096, 14, "6.3 %"), (255, 8, "0.39 %")]
)
def test_the_depth_that_the_greatest_value_tells(peak, bits, share):
    what, advice = depth_of(peak)
    assert what.startswith(f"Values reach {peak:,} of 65,535: these look like {bits}-bit images") and share in what
    centre, width = map(float, advice.partition("[")[2].partition("]")[0].split(","))
    shown = scale(np.array([0, 2**bits - 1]), centre - width / 2, centre + width / 2)  # as read_image does
    assert shown.tolist() == [0, 1]


@pytest.mark.parametrize("peak", [0, 2**14, 2**15 - 1, 2**15, 65535])
def test_what_is_not_odd(peak):
    assert depth_of(peak) is None


def build(folder, values, suffix="png"):
    """A table of 24 images with the same pixels, but for the first, which another program wrote."""
    table = build_image_table(folder, splits=True)
    for path in sorted((folder / "images").iterdir()):
        Image.fromarray(values).save(path.with_suffix(f".{suffix}"))
    table.write_text(table.read_text().replace(".png", f".{suffix}"))
    return table


def module(table, **options):
    return ImageTableDataModule(table=str(table), num_workers=0, image_size=16, **options)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_12_bits_in_16(tmp_path, suffix, channels):
    table = build(tmp_path, DEEP >> 4, suffix)
    [finding] = [f for f in inspect(module(table, channels=channels), 0, False).findings if f.kind == "depth"]
    assert finding.level == "warning"
    assert finding.message.startswith("Values reach 4,095 of 65,535: these look like 12-bit images in 16-bit files")
    assert '--data.window "[2047.5, 4095]"' in finding.advice
    assert depth_remark(module(table, channels=channels)) == f"{finding.message}\n{finding.advice}"

    windowed = module(table, channels=channels, window=(2047.5, 4095))
    assert depth_remark(windowed) is None
    assert not [f for f in inspect(windowed, 0, False).findings if f.kind == "depth"]
    np.testing.assert_allclose(windowed.make_reader("train", windowed.size)(0).max(), 1)


@pytest.mark.parametrize("values", [DEEP, picture(0), np.zeros((20, 24), np.uint16), (DEEP >> 4).astype(np.float32)])
def test_no_remark(tmp_path, values):
    data = module(build(tmp_path, values, "tif"))
    assert depth_remark(data) is None
    assert not [f for f in inspect(data, 0, False).findings if f.kind == "depth"]


def test_dicom_says_itself_what_is_white(tmp_path):
    table = build_image_table(tmp_path, splits=True)
    for path in (tmp_path / "images").iterdir():
        save_dicom(path.with_suffix(".dcm"), DEEP >> 4, 16)
    table.write_text(table.read_text().replace(".png", ".dcm"))
    assert depth_remark(module(table)) is None


def test_one_image_of_full_depth_silences_it(tmp_path):
    table = build(tmp_path, DEEP >> 4)
    Image.fromarray(DEEP).save(tmp_path / "images/000_0.png")  # the first of the table
    (tmp_path / "images/011_1.png").unlink()
    (tmp_path / "images/011_0.png").write_text("no image")
    assert depth_remark(module(table), images=3) is None
    assert depth_remark(TinyDataModule()) is None  # no files
