"""The images that candidates are looked at with."""

import numpy as np
import pytest
import torch
from support.drawn_cases import DrawnCases
from support.images import build_image_folders
from support.tiny import TinyDataModule

from transfusion_cli.data.feature_store import feature_key
from transfusion_cli.datasets.image_table import ImageTableDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.transferability.images import Images

SIZE = (16, 16)


def images(folder, number=100, seed=0, split="train", **kwargs):
    return Images(TinyDataModule(train=24, other=8, **kwargs), split, number, seed, folder)


def all_of(found, **kwargs):
    places, batches = zip(*found.batches(SIZE, **kwargs), strict=True)
    return np.concatenate(places), torch.cat(batches)


def test_all_of_a_split_in_order(tmp_path):
    found = images(tmp_path)
    assert len(found) == 24 and found.patients == 12
    places, pictures = all_of(found)
    assert places.tolist() == list(range(24))
    assert torch.equal(pictures[:, 0], torch.from_numpy(found.data.images[:24]))
    assert len(images(tmp_path, split="val")) == 8


def test_whole_patients_by_the_seed(tmp_path):
    some = images(tmp_path, 9)
    assert len(some) == 10 and some.patients == 5
    assert (some.groups.unique(return_counts=True)[1] == 2).all()
    assert np.array_equal(some.rows, images(tmp_path, 9).rows)
    assert not np.array_equal(some.rows, images(tmp_path, 9, seed=1).rows)
    _, pictures = all_of(some)
    assert torch.equal(pictures[:, 0], torch.from_numpy(some.data.images[some.rows]))


def test_read_once_and_kept_on_the_disk_without_a_name(tmp_path):
    found, reads = images(tmp_path), []
    read = found.data.make_reader
    found.data.make_reader = lambda *args: lambda row: (reads.append(row), read(*args)(row))[1]
    first = all_of(found, keep=True)
    assert len(reads) == 24
    assert torch.equal(all_of(found)[1], first[1])
    order = np.array([5, 3, 20])
    places, pictures = all_of(found, order=order)
    assert places.tolist() == [5, 3, 20] and torch.equal(pictures, first[1][order])
    assert len(reads) == 24
    assert not list(tmp_path.iterdir())


def test_in_another_order_without_keeping(tmp_path):
    found = images(tmp_path, 9)
    whole = all_of(found)[1]
    assert torch.equal(all_of(found, order=np.array([4, 0]))[1], whole[[4, 0]])


def test_no_room_is_no_matter(tmp_path, monkeypatch):
    found = images(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100})())
    first = all_of(found, keep=True)[1]
    assert not found._kept and torch.equal(all_of(found)[1], first)


def test_unknown_labels_are_left_out(tmp_path):
    data = TinyDataModule("multiclass", train=24, other=8)
    table = data.samples
    table.targets[:6] = -1
    found = Images(data, "train", 100, 0, tmp_path)
    assert found.rows.tolist() == list(range(6, 24)) and (found.targets >= 0).all()
    table.targets[:] = -1
    with pytest.raises(UserError, match="No image of the train split has a label"):
        Images(data, "train", 100, 0, tmp_path)


def test_masks_are_refused(tmp_path):
    with pytest.raises(UserError, match="has masks"):
        Images(DrawnCases(2), "train", 10, 0, tmp_path)


def test_facts_tell_what_decides_the_pixels(tmp_path):
    def key(size=SIZE, number=100, **kwargs):
        return feature_key(*images(tmp_path, number, **kwargs).facts(size))

    same = key()
    assert same == key() == key((99, 99)), "the data say the size"
    others = [key(number=9), key(split="val"), key(image_size=24), key(resize="pad"), key(shuffle_blocks=4)]
    assert len({same, *others}) == 6


def test_facts_know_a_changed_file(tmp_path):
    build_image_folders(tmp_path / "a", patients=6, images=1)
    data = ImageTableDataModule(root=str(tmp_path / "a"), num_workers=0, image_size=16)
    before = feature_key(*Images(data, "train", 100, 0, tmp_path).facts(SIZE))
    found = Images(data, "train", 100, 0, tmp_path)
    path = tmp_path / "a" / data.samples.paths[found.rows[0]]
    path.write_bytes(path.read_bytes() + b"\0")
    assert feature_key(*found.facts(SIZE)) != before
