"""Run folders are never shared by two runs."""

import os

import pytest
from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.errors import UserError
from transfusion_cli.reports.open_folder import OpenFolder, check_name


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("TRANSFUSION_RUN_FOLDER", raising=False)


def test_versions_count_up_and_latest_follows(tmp_path):
    folders = [OpenFolder.create("demo", tmp_path) for _ in range(3)]
    for folder in folders:
        folder.publish()
    assert [f.path.name for f in folders] == ["version_0", "version_1", "version_2"]
    assert (tmp_path / "demo" / "latest" / "checkpoints").resolve() == folders[-1].checkpoints.resolve()
    (tmp_path / "demo" / "version_1").rmdir()
    assert OpenFolder.create("demo", tmp_path).path.name == "version_3"


def test_tensorboard_finds_no_run_twice(tmp_path):
    folder = OpenFolder.create("demo", tmp_path)
    folder.publish()
    (folder.path / "events.out.tfevents.1").touch()
    found = [path for path, _, files in os.walk(tmp_path, followlinks=True) if any("tfevents" in f for f in files)]
    assert found == [str(folder.path)]


def test_a_folder_of_the_users_named_latest_is_left_alone(tmp_path):
    (tmp_path / "demo" / "latest").mkdir(parents=True)
    (tmp_path / "demo" / "latest" / "note.txt").write_text("mine")
    folder = OpenFolder.create("demo", tmp_path)
    folder.publish()
    assert folder.path.name == "version_0"
    assert (tmp_path / "demo" / "latest" / "note.txt").read_text() == "mine"
    assert not list((tmp_path / "demo").glob(".latest*"))


def test_later_processes_of_a_run_share_its_folder(tmp_path):
    first = OpenFolder.create("demo", tmp_path)
    first.share()
    assert OpenFolder.create("demo", tmp_path).path == first.path
    OpenFolder.unshare()
    assert OpenFolder.create("demo", tmp_path).path != first.path


def test_other_processes_of_a_cluster_make_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    assert not OpenFolder.create("demo", tmp_path).path.exists()


def test_latest_holds_what_the_run_holds(tmp_path):
    first, second = (OpenFolder.create("demo", tmp_path) for _ in range(2))
    latest = tmp_path / "demo" / "latest"
    for folder in (first, second):
        folder.config.touch()
        folder.split.touch()
        folder.publish()
    for name in ("predictions_test.csv", "results.json", "events.out.tfevents.1", ".lock"):
        (first.path / name).touch()
    first.refresh()  # a test of an older run
    assert {entry.name for entry in latest.iterdir() if entry.exists()} == {"config.yaml", "split.csv"}
    (second.path / "predictions.csv").touch()
    second.refresh()
    assert {entry.name for entry in latest.iterdir()} == {"config.yaml", "split.csv", "predictions.csv"}
    assert all(entry.resolve().parent == second.path.resolve() for entry in latest.iterdir())
    first.publish()
    assert "results.json" in os.listdir(latest) and "predictions.csv" not in os.listdir(latest)


def test_a_run_that_did_not_begin_leaves_nothing(tmp_path):
    folder = OpenFolder.create("demo", tmp_path)
    for name in ("config.yaml", ".lock", "events.out.tfevents.1"):
        (folder.path / name).touch()
    folder.discard()
    assert not list(tmp_path.iterdir())


def test_what_began_or_has_results_or_was_there_is_kept(tmp_path):
    begun, evaluated, other = (OpenFolder.create("demo", tmp_path) for _ in range(3))
    begun.publish()
    (evaluated.path / "results.json").touch()
    for folder in (begun, evaluated, OpenFolder(other.path)):
        folder.discard()
        assert folder.path.is_dir()
    other.discard()
    assert not other.path.exists()


@pytest.mark.parametrize("name", ["chexpert", "chexpert/bn", "größe 2", "..x", "a.b", "-"])
def test_names_of_runs(name, tmp_path):
    assert check_name(name) == name
    assert tmp_path in OpenFolder.create(name, tmp_path).path.resolve().parents


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../../x", "/tmp/x", "a/../b", "a//b", "x/", "a\\b", "a\nb", "a\tb", "\x1b[2J", "a\0", "\udcff"],
)
def test_names_that_lead_elsewhere_or_cannot_be_shown(name):
    with pytest.raises(UserError) as caught:
        check_name(name)
    assert len(str(caught.value).splitlines()) == 2 and str(caught.value).isascii()
