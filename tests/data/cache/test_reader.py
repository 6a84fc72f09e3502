"""Damaged caches: noticed before anything of them is used, and mended by preparing again."""

import logging
import os
import pickle
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from support.cached import batches, count_reads, module, prepared, same
from support.images import build_image_table, picture, save_dicom

from transfusion_cli.data.cache import reader as cache_reader
from transfusion_cli.data.cache.files import load_array
from transfusion_cli.errors import Fault, UserError


@pytest.fixture
def table(tmp_path):
    """The first image is deep, the other 23 are not."""
    table = build_image_table(tmp_path / "images", splits=True)
    frame = pd.read_csv(table)
    save_dicom(table.parent / "images/deep.dcm", picture(0, depth=16) // 16, 12)
    frame.loc[0, "image"] = "images/deep.dcm"
    frame.to_csv(table, index=False)
    return table


def flip(path, byte):
    """Flip one bit of a file; negative places count from its end."""
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << (byte % 8)
    path.write_bytes(content)


def read_all(table, folder, **options):
    data = module(table, folder, **options)
    for split in ("train", "val", "test"):
        batches(data, split)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("name", "byte", "image"),
    [
        ("images.npy", 128 + 5 * 256, "images/002_1.png"),
        ("images.npy", 128 + 6 * 256 - 1, "images/002_1.png"),
        ("images.npy", -1, "images/011_1.png"),
        ("deep.npy", 128 + 100, "images/deep.dcm"),
    ],
)
def test_a_flipped_bit_is_noticed_and_mended(table, tmp_path, workers, name, byte, image):
    place = prepared(module(table), tmp_path / "cache")
    flip(place.path / name, byte)
    with pytest.raises(UserError) as error:
        read_all(table, tmp_path / "cache", num_workers=workers)
    first, second, third = str(error.value).splitlines()
    assert first.startswith(f"The image {image} is damaged: its checksum is not that")
    assert second == f"in {place.path / name}" and "transfusion data prepare again" in third
    if not workers:
        assert count_reads(module(table), tmp_path / "cache") == 1
        for split in ("train", "val", "test"):
            same(batches(module(table, tmp_path / "cache"), split)[1:], batches(module(table), split)[1:])


def test_what_is_not_used_need_not_be_whole(table, tmp_path):
    place = prepared(module(table), tmp_path / "cache")
    flip(place.path / "images.npy", -1)  # of the test split
    flip(place.path / "deep.npy", -1)  # of no image
    for split in ("train", "val"):
        batches(module(table, tmp_path / "cache"), split)


def test_every_record_counts(table, tmp_path):
    """A flip anywhere in the records is an error or is of no matter; it never gives other pixels."""
    place = prepared(module(table), tmp_path / "cache")
    path, expected = place.path / "records.npy", batches(module(table, tmp_path / "cache"), "val")
    whole, noticed = path.read_bytes(), 0
    for byte in range(0, len(whole), 61):
        flip(path, byte)
        try:
            same(batches(module(table, tmp_path / "cache"), "val"), expected)
        except UserError as error:
            noticed += 1
            assert len(str(error).splitlines()) <= 3
        path.write_bytes(whole)
    assert noticed > 5


@pytest.mark.parametrize("state", [3, 255])
def test_states_that_no_image_has(table, tmp_path, state):
    place = prepared(module(table), tmp_path / "cache")
    records = np.load(place.path / "records.npy")
    records["state"][3] = state
    np.save(place.path / "records.npy", records)
    with pytest.raises(UserError, match=r"^The cache .* is damaged\nrecords.npy: unknown states\nDelete"):
        read_all(table, tmp_path / "cache")


def test_compared_when_first_read_and_by_each_process(table, tmp_path, monkeypatch):
    prepared(module(table), tmp_path / "cache")
    reader = (data := module(table, tmp_path / "cache")).reader_of("train")
    compared, crc32 = [], cache_reader.zlib.crc32
    monkeypatch.setattr(cache_reader.zlib, "crc32", lambda pixels: compared.append(pixels.nbytes) or crc32(pixels))
    for _ in range(3):
        for row in data.samples.rows("val"):
            reader(row)
    assert len(compared) == len(data.samples.rows("val"))
    pickle.loads(pickle.dumps(reader))(data.samples.rows("val")[0])
    assert len(compared) == len(data.samples.rows("val")) + 1


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def other_shape(path):
    np.save(path, np.load(path)[:-1])


def other_type(path):
    np.save(path, np.load(path).view(np.uint8).astype(np.int64))


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def planted_pickle(path):
    np.save(path, np.array([Planted(path.parent.parent / "ran")], dtype=object), allow_pickle=True)


def planted_archive(path):
    np.savez(path.with_suffix(".npz"), x=np.zeros(3))
    path.with_suffix(".npz").rename(path)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = [
    os.unlink,
    truncate,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"\x93NUMPY\x01\x00 and more"),
    lambda path: path.write_bytes(pickle.dumps(Planted(path.parent.parent / "ran"))),
    other_shape,
    other_type,
    planted_pickle,
    planted_archive,
    pipe,
]


@pytest.mark.parametrize("name", ["images.npy", "deep.npy", "records.npy"])
def test_files_that_are_not_what_they_should_be(table, tmp_path, name):
    place = prepared(module(table), tmp_path / "cache")
    shutil.copytree(place.path, tmp_path / "whole")
    for damage in DAMAGES:
        damage(place.path / name)
        for attempt in (read_all, lambda table, folder: prepared(module(table), folder)):
            with pytest.raises(UserError) as error:
                attempt(table, tmp_path / "cache")
            first, second, third = str(error.value).splitlines()
            assert first == f"The cache {place.path} is damaged" and second.startswith(f"{name}: ")
            assert third == "Delete that folder and run transfusion data prepare again."
        assert not (place.folder / "ran").exists()
        shutil.rmtree(place.path)
        shutil.copytree(tmp_path / "whole", place.path)
    read_all(table, tmp_path / "cache")
    shutil.rmtree(place.path)
    prepared(module(table), tmp_path / "cache")


def test_flips_in_a_header(table, tmp_path):
    place = prepared(module(table), tmp_path / "cache")
    path = place.path / "images.npy"
    whole = path.read_bytes()
    for byte in range(128):
        for bit in range(8):
            path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1 :])
            try:
                assert load_array(path, place.shape, np.uint8).tobytes() == whole[128:]
            except UserError as error:
                assert re.match(r"The cache .* is damaged\nimages.npy: .*\nDelete .*$", str(error))


def test_what_people_read_is_not_needed(table, tmp_path):
    place = prepared(module(table), tmp_path / "cache")
    for name in ("ids.npy", "index.json"):
        (place.path / name).unlink()
    read_all(table, tmp_path / "cache")
    flip(place.path / "images.npy", -1)
    with pytest.raises(UserError, match=r"^The cache .* is damaged\nids.npy: no such file\n"):
        read_all(table, tmp_path / "cache")


def test_an_attempt_that_goes_on_looks_at_what_is_there(table, tmp_path, caplog):
    broken = table.parent / "images/006_0.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"\x89PNG broken")
    with pytest.raises(UserError, match="1 of 24 images cannot be read"):
        prepared(module(table), tmp_path / "cache")
    (part,) = (tmp_path / "cache").glob("*.part")
    flip(part / "images.npy", -1)
    broken.write_bytes(whole)
    with caplog.at_level(logging.INFO):
        assert count_reads(module(table), tmp_path / "cache") == 2
    assert "decoding anew: 0 images whose files were replaced, 1 that are damaged in the cache" in caplog.text
    read_all(table, tmp_path / "cache")


def plant(link, to):
    link.unlink(missing_ok=True)
    link.symlink_to(to)


@pytest.mark.parametrize(
    "name",
    ["part", "part/images.npy", "part/.images.npy.partial", "part/.ids.npy.partial", "part/records.npy", "lock", "key"],
)
def test_nothing_is_written_where_links_lead(table, tmp_path, name):
    """Links that somebody laid before the first attempt."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in ("images.npy", "deep.npy", "ids.npy"):
        (elsewhere / file).write_text("kept")
    place = prepared(module(table), tmp_path / "cache")
    shutil.rmtree(place.path)
    if name.startswith("part/"):
        place.beside("part").mkdir()
        plant(place.beside("part") / name[5:], elsewhere / "images.npy")
    else:
        plant(place.path if name == "key" else place.beside(name), elsewhere)
    if name == "part/images.npy" or name.endswith(".partial"):
        prepared(module(table), tmp_path / "cache")  # takes the place of the link
        assert not (place.path / "images.npy").is_symlink()
    else:
        with pytest.raises(UserError, match=r"link|damaged") as error:
            prepared(module(table), tmp_path / "cache")
        assert len(str(error.value).splitlines()) == 3
    assert sorted(path.name for path in elsewhere.iterdir()) == ["deep.npy", "ids.npy", "images.npy"]
    assert all(path.read_text() == "kept" for path in elsewhere.iterdir())


@pytest.mark.parametrize("name", ["images.npy", "deep.npy"])
def test_an_attempt_does_not_go_on_through_a_link(table, tmp_path, name):
    """The file itself lies elsewhere, so that everything about it is right."""
    (table.parent / "images/006_0.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(UserError, match="1 of 24 images cannot be read"):
        prepared(module(table), tmp_path / "cache")
    (part,) = (tmp_path / "cache").glob("*.part")
    (part / name).rename(tmp_path / "elsewhere.npy")
    (part / name).symlink_to(tmp_path / "elsewhere.npy")
    before = (tmp_path / "elsewhere.npy").read_bytes()
    shutil.copy(table.parent / "images/006_1.png", table.parent / "images/006_0.png")
    with pytest.raises(Fault, match=rf"Could not write {part / name}: a link, or no plain file\n.*--data.cache"):
        prepared(module(table), tmp_path / "cache")
    assert (tmp_path / "elsewhere.npy").read_bytes() == before


def test_the_list_of_unreadable_images_takes_the_place_of_a_link(table, tmp_path):
    place = prepared(module(table), tmp_path / "cache")
    shutil.rmtree(place.path)
    (tmp_path / "precious").write_text("kept")
    place.beside("unreadable.txt").symlink_to(tmp_path / "precious")
    (table.parent / "images/006_0.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(UserError, match="1 of 24 images cannot be read"):
        prepared(module(table), tmp_path / "cache")
    assert (tmp_path / "precious").read_text() == "kept"
