import gzip
import os
import threading

import pytest

from transfusion_cli.data.layout import gunzip as module
from transfusion_cli.errors import UserError

CONTENT = bytes(range(256)) * 20_000


def gunzip(path, folder):
    return module.gunzip(path, folder, len(CONTENT))


def packed(folder, content=CONTENT):
    path = folder / "x.h5.gz"
    path.write_bytes(gzip.compress(content))
    return path


def test_unpacks_once_and_leaves_the_source_alone(tmp_path):
    path = packed(tmp_path)
    before = path.read_bytes()
    target = gunzip(path, tmp_path / "new/place")
    assert target.read_bytes() == CONTENT and target.suffix == ".h5"
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [tmp_path / "new", path]
    os.utime(target, (1, 1))
    assert gunzip(path, tmp_path / "new/place") == target
    assert target.stat().st_mtime == 1


def test_another_file_of_the_same_name_is_not_taken_for_this_one(tmp_path):
    first = gunzip(packed(tmp_path), tmp_path / "place")
    second = gunzip(packed(tmp_path, CONTENT[::-1]), tmp_path / "place")
    assert first != second and second.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-400], lambda raw: raw[:30] + b"\0" + raw[31:], lambda raw: b"<html>"]
)
def test_a_damaged_file_leaves_nothing_behind(tmp_path, damage):
    path = packed(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"Cannot unpack .*x\.h5\.gz"):
        gunzip(path, tmp_path / "place")
    assert not list(tmp_path.glob("place/*")) and not list(tmp_path.glob("place/.*"))


def test_two_at_once(tmp_path):
    path, found = packed(tmp_path), []
    threads = [threading.Thread(target=lambda: found.append(gunzip(path, tmp_path / "place"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and list((tmp_path / "place").iterdir()) == found[:1]
    assert found[0].read_bytes() == CONTENT


def test_a_file_that_holds_more_than_it_should_leaves_nothing_behind(tmp_path):
    path = packed(tmp_path, bytes(10**8))
    assert path.stat().st_size < 10**5 + 1000
    with pytest.raises(UserError, match="it unpacks to more than the 2,000,000 bytes") as caught:
        module.gunzip(path, tmp_path / "place", 2_000_000)
    assert len(str(caught.value).splitlines()) == 3
    assert not list(tmp_path.glob("place/*")) and not list(tmp_path.glob("place/.*"))
