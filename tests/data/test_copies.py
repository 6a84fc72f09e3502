"""Copies by content."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfusion_cli.data import copies as duplicates
from transfusion_cli.data.samples import as_text


def duplicate_groups(folder, paths, labels=None):
    """Path of the first of its copies for each file."""
    return paths[duplicates.duplicate_groups(folder, paths, labels)]


def write(folder, contents):
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return as_text(contents)


def test_copies_are_named_after_the_first_of_them(tmp_path):
    paths = write(tmp_path, {"c": b"one", "a": b"two", "b": b"one", "d": b"twos", "e": b"one"})
    assert duplicate_groups(tmp_path, paths).tolist() == ["b", "a", "b", "d", "b"]  # in any order of the files
    assert duplicate_groups(tmp_path, paths[::-1]).tolist() == ["b", "d", "b", "a", "b"]


def test_files_that_differ_outside_of_their_middle_are_two(tmp_path):
    body = bytes(3 * duplicates._BLOCK)
    paths = write(tmp_path, {"a": b"1" + body, "b": b"2" + body, "c": b"1" + body, "d": body + b"3"})
    assert duplicate_groups(tmp_path, paths).tolist() == ["a", "b", "a", "d"]


def test_only_files_of_one_size_are_read_and_whole_only_those_with_one_middle(tmp_path, monkeypatch):
    read = {"_middle": [], "_content": []}
    for name in read:
        plain = getattr(duplicates, name)
        monkeypatch.setattr(
            duplicates, name, lambda path, name=name, plain=plain: (read[name].append(path[-1]), plain(path))[1]
        )
    write(tmp_path, {"a": b"one", "b": b"three", "c": b"two", "d": b"one", "e": b"longest"})
    assert duplicate_groups(tmp_path, as_text("abcde")).tolist() == ["a", "b", "c", "a", "e"]
    assert sorted(read["_middle"]) == ["a", "c", "d"] and sorted(read["_content"]) == ["a", "d"]


def test_missing_files_stand_for_themselves(tmp_path):
    paths = as_text([*write(tmp_path, {"a": b"12", "b": b"12"}), "gone", "gone too", "x"])
    assert duplicate_groups(tmp_path, paths).tolist() == ["a", "a", "gone", "gone too", "x"]
    assert duplicate_groups(tmp_path, as_text([])).tolist() == []


@pytest.mark.parametrize(
    "labels", [np.array([0, 1, 0, 2, 2, 3]), np.array([0, 1, 0, 2, 2, np.nan])[:, None]], ids=["classes", "matrix"]
)
def test_says_how_many_and_how_many_contradict_themselves(tmp_path, caplog, labels):
    paths = write(tmp_path, {"a": b"1", "b": b"2", "c": b"1", "d": b"2", "e": b"2", "f": b"9"})
    with caplog.at_level(logging.INFO):
        duplicate_groups(tmp_path, paths, labels)
    assert "3 images are exact copies of others and stay together: 2 groups, 1 with conflicting labels" in caplog.text


@settings(max_examples=25, deadline=None)
@given(contents=st.lists(st.sampled_from([b"", b"a", b"b", b"ab", b"ba"]), max_size=12))
def test_groups_are_those_of_equal_contents(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("copies")
    paths = write(folder, {f"{n:02d}": content for n, content in enumerate(contents)})
    expected = [f"{contents.index(content):02d}" for content in contents]
    assert duplicate_groups(folder, paths).tolist() == expected


def test_says_what_takes_long(tmp_path, caplog, monkeypatch):
    paths = write(tmp_path, {"a": b"12", "b": b"13"})
    with caplog.at_level(logging.INFO):
        duplicate_groups(tmp_path, paths)
        assert not caplog.text
        monkeypatch.setattr(duplicates, "PATIENCE", 0.0)
        duplicate_groups(tmp_path, paths)
    assert caplog.text.count("looking for copies among 2 images, since no patients are known") == 1
