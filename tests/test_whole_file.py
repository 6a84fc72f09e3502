"""Files written whole or not at all, and never through a link."""

import os

import pytest

from transfusion_cli.whole_file import itself, whole_file


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
    with pytest.raises(OSError, match="a link, or no plain file"), whole_file(tmp_path / "file"):
        pass
    assert precious.read_text() == "kept" and not (tmp_path / "file").exists()


def test_a_file_of_its_own_is_opened_as_ever(tmp_path):
    path = tmp_path / "file"
    for mode, expected in (("wb", b"ab"), ("ab", b"abab"), ("r+b", b"abab"), ("wb", b"ab")):
        with open(path, mode, opener=itself) as file:
            file.write(b"ab")
        assert path.read_bytes() == expected
