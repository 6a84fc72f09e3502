"""Files written whole or not at all, and never through a link."""

import errno
import io
import os
import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from transfusion_cli.errors import Fault
from transfusion_cli.files import append, itself, require_writable, second_name, whole_file, write_text


def test_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    with whole_file(path) as file:
        file.write(b"first")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b"second, stopped in the mid")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_takes_the_place_of_a_link_and_not_of_what_it_leads_to(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "file").symlink_to(precious)
    with whole_file(tmp_path / "file") as file:
        file.write(b"new")
    assert precious.read_text() == "kept" and not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize("mode", ["wb", "r+b", "ab"])
@pytest.mark.parametrize("plant", [os.symlink, os.link, lambda _, path: os.mkfifo(path), lambda _, path: path.mkdir()])
def test_links_pipes_and_folders_are_not_written_to(tmp_path, mode, plant):
    precious, path = tmp_path / "precious", tmp_path / ".file.partial"
    precious.write_text("kept")
    plant(precious, path)
    with pytest.raises(OSError, match="a link, or no plain file"), open(path, mode, opener=itself):
        pass
    assert precious.read_text() == "kept"
    is_folder = path.is_dir()
    with pytest.raises(Fault) if is_folder else nullcontext(), whole_file(tmp_path / "file") as file:
        file.write(b"new")
    assert precious.read_text() == "kept" and (tmp_path / "file").exists() != is_folder


def test_a_file_may_have_two_names(tmp_path, monkeypatch):
    """Also where the process was killed in between, and where the file system knows no links."""
    best, last = tmp_path / "best", tmp_path / "last"
    for content in (b"one", b"two"):
        with whole_file(best) as file:
            file.write(content)
        os.link(best, tmp_path / ".last.partial")
        second_name(best, last)
        assert last.read_bytes() == content and last.stat().st_ino == best.stat().st_ino
    with whole_file(last) as file:
        file.write(b"three")
    assert best.read_bytes() == b"two"
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    second_name(best, last)
    assert last.read_bytes() == b"two" and last.stat().st_ino != best.stat().st_ino
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "last"]


def test_the_mode_is_that_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "file"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.fixture
def full_disk(monkeypatch):
    """Writes into files go as far as a number of bytes, then there is no room; ``free`` makes some."""
    room = [0]

    class Full(io.FileIO):
        def write(self, data):
            taken = min(len(data), room[0])
            room[0] -= taken
            if not taken:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(bytes(data[:taken]))

    monkeypatch.setattr(io, "FileIO", Full)
    monkeypatch.setattr("builtins.open", lambda path, mode="r", *_, **__: Full(path, mode.replace("b", "")))
    return room


def test_a_full_disk_leaves_what_was_there_and_says_how_much_is_free(tmp_path, full_disk):
    """Wherever it gets full; also where the writing library hides the reason, as ``torch.save`` does."""
    path = tmp_path / "file"
    full_disk[0] = 5
    write_text(path, "first")
    for room in range(0, 200_000, 20_000):
        full_disk[0] = room
        with pytest.raises(Fault) as caught, whole_file(path) as file:
            file.write(bytes(100_000))
            try:
                file.write(bytes(100_000))
            except OSError:
                raise RuntimeError("unexpected pos") from None
        lines = str(caught.value).splitlines()
        assert re.fullmatch(rf"Could not write {path}: No space left on device; [\d,.]+ MB are free there", lines[0])
        assert lines[1:] == ["Free some space there, then type the same command again"]
        assert [p.name for p in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"first"


def test_a_growing_file_gets_all_or_nothing(tmp_path, full_disk):
    path = tmp_path / "file"
    for room in (0, 3, 5, 5):
        full_disk[0] = room
        if room < 5:
            with pytest.raises(Fault, match="No space left"):
                append(path, b"12345")
        else:
            append(path, b"12345")
    assert path.read_bytes() == b"1234512345"


def test_what_cannot_be_written_to_is_known_before(tmp_path):
    require_writable(tmp_path / "not" / "there")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/1")):
        with pytest.raises(Fault, match=f"Could not write {folder}: "):
            require_writable(folder)
    with pytest.raises(Fault, match=r"Could not write .*\nSee that files can be written there, then type the same"):
        write_text(tmp_path / "file" / "below", "text")


def test_a_file_of_its_own_is_opened_as_ever(tmp_path):
    path = tmp_path / "file"
    for mode, expected in (("wb", b"ab"), ("ab", b"abab"), ("r+b", b"abab"), ("wb", b"ab")):
        with open(path, mode, opener=itself) as file:
            file.write(b"ab")
        assert path.read_bytes() == expected
