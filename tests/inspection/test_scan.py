import os

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.images import picture, save_dicom

from transfusion_cli.data.reading.readers import ArrayReader, FileReader
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError
from transfusion_cli.inspection.image_facts import MISSING, READ, UNREADABLE, ImageLook
from transfusion_cli.inspection.scan import scan


def save(folder, name, pixels, **options):
    Image.fromarray(pixels).save(folder / name, **options)
    return name


def look(folder, names, channels=1, workers=0, **options):
    paths = as_text(names)
    table = SampleTable(paths, np.zeros(len(paths), np.int64), np.full(len(paths), "train"), None, paths)
    return scan(table, {"train": FileReader(folder, paths, channels, **options)}, workers, progress=False)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_pixels_have_the_same_digest(tmp_path, channels):
    grey = picture(0)
    names = [
        save(tmp_path, "a.png", grey),
        save(tmp_path, "b.png", grey, compress_level=0),
        save(tmp_path, "c.bmp", grey),
        save(tmp_path, "colour.png", np.repeat(grey[..., None], 3, 2)),
        save(tmp_path, "other.png", picture(1)),
        save(tmp_path, "turned.png", np.ascontiguousarray(grey.T)),
    ]
    a, b, c, colour, other, turned = look(tmp_path, names, channels).facts["digest"]
    assert a == b == c == colour
    assert len({a, other, turned}) == 3


def test_a_single_pixel_makes_another_digest(tmp_path):
    changed = picture(0)
    changed[3, 4] ^= 1
    first, second = look(tmp_path, [save(tmp_path, "a.png", picture(0)), save(tmp_path, "b.png", changed)]).facts
    assert first["digest"] != second["digest"]


def test_how_files_are_stored(tmp_path):
    names = [
        save(tmp_path, "grey.png", picture(0, (20, 30))),
        save(tmp_path, "deep.png", picture(0, depth=16)),
        save(tmp_path, "colour.jpg", np.repeat(picture(0)[..., None], 3, 2)),
        "film.dcm",
        "float.tif",
    ]
    save_dicom(tmp_path / "film.dcm", picture(0, depth=16) >> 4, 12)
    tifffile.imwrite(tmp_path / "float.tif", np.random.default_rng(0).random((8, 9, 3)).astype(np.float32))
    facts = look(tmp_path, names, channels=3).facts
    assert (facts["state"] == READ).all()
    assert facts["bits"].tolist() == [8, 16, 8, 12, 32]
    assert facts["colour"].tolist() == [False, False, True, False, True]
    assert (facts[0]["height"], facts[0]["width"]) == (20, 30)


def test_missing_and_damaged_files(tmp_path):
    save(tmp_path, "whole.jpg", picture(0, (600, 600)), quality=90)
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "short.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("<html>")
    (tmp_path / "nothing.dcm").write_bytes(b"")
    names = ["whole.jpg", "short.jpg", "text.png", "nothing.dcm", "gone.png"]
    # Training decodes at an eighth of the size and may never come to the end of a file; readers without a size do.
    found = look(tmp_path, names)
    assert found.facts["state"].tolist() == [READ, UNREADABLE, UNREADABLE, UNREADABLE, MISSING]
    assert found.facts[0]["height"] == 600
    assert "truncated" in found.reasons[1] and "gone.png" in found.reasons[4]


def test_a_pixel_that_is_no_number(tmp_path):
    values = np.random.default_rng(0).random((8, 9)).astype(np.float32)
    names = [save(tmp_path, "whole.tif", values)]
    values[0, 0] = np.nan
    names.append(save(tmp_path, "hole.tif", values))
    found = look(tmp_path, names)
    assert found.facts["state"].tolist() == [READ, UNREADABLE]
    assert found.reasons == {1: "1 of its pixels are NaN or infinite"}


def test_contrast(tmp_path):
    blank = np.full((20, 24), 200, np.uint8)
    noisy = blank + np.random.default_rng(0).integers(0, 3, blank.shape, dtype=np.uint8)
    names = [save(tmp_path, "a.png", blank), save(tmp_path, "b.png", noisy), save(tmp_path, "c.png", picture(0))]
    a, b, c = look(tmp_path, names).facts["contrast"]
    assert a == 0 and 0 < b < 0.01 < 0.1 < c


def test_arrays_and_splits_without_a_reader(tmp_path):
    images = np.stack([picture(i) for i in range(4)])
    split = np.array(["val", "val", "", "val"])
    table = SampleTable(as_text("abcd"), np.zeros(4, np.int64), split)
    found = scan(table, {"val": ArrayReader(images, 0)}, 0, progress=False)
    assert found.facts["state"].tolist() == [READ, READ, 0, READ]
    assert found.facts["height"][0] == 20 and found.facts["bits"][0] == 8 and not found.facts["colour"][0]


def test_processes_find_what_one_finds(tmp_path):
    names = [save(tmp_path, f"{i}.png", picture(i % 7)) for i in range(3 * ImageLook.chunk + 1)] + ["gone.png"]
    one, several = look(tmp_path, names), look(tmp_path, names, workers=2)
    np.testing.assert_array_equal(one.facts, several.facts)
    assert one.reasons == several.reasons


class Crashing:
    def __call__(self, row):
        os._exit(1)


def test_a_decoder_that_crashes_is_an_error_not_a_hang():
    n = 3 * ImageLook.chunk
    table = SampleTable(as_text(range(n)), np.zeros(n, np.int64), np.full(n, "train"))
    with pytest.raises(UserError, match="--workers 1"):
        scan(table, {"train": Crashing()}, 2, progress=False)
