"""What lies where in the folder of a run."""

from pathlib import Path

from transfusion_cli.reports.open_folder import OpenFolder
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.versions import free_path


def test_a_checkpoint_knows_its_run(tmp_path):
    folder = OpenFolder.create("demo", tmp_path)
    folder.checkpoints.mkdir()
    checkpoint = folder.checkpoints / "last.ckpt"
    assert RunFolder.holding(checkpoint) is None  # no config: not a run of ours
    folder.publish()
    folder.config.write_text("")
    assert RunFolder.holding(checkpoint).path == folder.path.resolve()
    assert RunFolder.holding(tmp_path / "demo/latest/checkpoints/last.ckpt").path == folder.path.resolve()
    assert RunFolder.holding(None) is None
    assert RunFolder.holding(Path("elsewhere/model.ckpt")) is None
    assert RunFolder.config_of(checkpoint) == folder.config.resolve() and RunFolder.split_of(checkpoint) is None
    for path in ("config_1.yaml", "config_10.yaml", "config_9.yaml", "split.csv"):
        (folder.path / path).touch()
    assert RunFolder.config_of(checkpoint).name == "config_10.yaml" == folder.newest_config.name
    assert RunFolder.split_of(checkpoint) == folder.split.resolve()


def test_the_files_of_a_run_may_lie_beside_its_checkpoint(tmp_path):
    copy = RunFolder(tmp_path)
    assert RunFolder.config_of(tmp_path / "best.ckpt") is RunFolder.split_of(None) is None
    copy.split.touch()
    assert RunFolder.split_of(tmp_path / "best.ckpt") == copy.split
    assert RunFolder.holding(tmp_path / "best.ckpt") is None
    copy.config.touch()
    assert RunFolder.holding(tmp_path / "best.ckpt").config == copy.config


def test_runs_of_a_name_by_their_numbers(tmp_path):
    for name in ("version_9", "version_10", "version_x", "latest"):
        (tmp_path / name).mkdir()
    assert [run.number for run in RunFolder.versions_of(tmp_path)] == [10, 9]


def test_free_never_names_a_file_that_exists(tmp_path):
    folder = RunFolder(tmp_path)
    names = []
    for _ in range(3):
        path = free_path(folder.results)
        path.touch()
        names.append(path.name)
    assert names == ["results.json", "results_1.json", "results_2.json"]
