"""A disk that gets full, and places that cannot be written to: one or two lines, and nothing lost."""

import errno
import io
import json
import os
import shlex
from pathlib import Path

import pandas as pd
import pytest
from support.commands import ran_once, transfusion, write_configs
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from transfusion_cli import files

pytestmark = pytest.mark.slow

RUN = "lightning_logs/bn/version_0"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder, with a space in its name, in which ``fit`` ran once."""
    return ran_once(tmp_path_factory.mktemp("a home"), "fit --config bn.yaml")


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


@pytest.fixture
def fails(monkeypatch):
    """Have writing to files of some names fail, in the middle."""

    def begin(*names: str, error: int = errno.ENOSPC) -> None:
        def is_meant(path) -> bool:
            name = Path(str(path)).name.removeprefix(".").removesuffix(".partial")
            return any(name.startswith(start) for start in names)

        class Failing(io.FileIO):
            def write(self, data):
                if not is_meant(self.name):
                    return super().write(data)
                if self.tell() > 10:
                    raise OSError(error, os.strerror(error))
                return super().write(bytes(data[:20]))

        def link(existing, path):
            if is_meant(path):
                raise OSError(error, os.strerror(error))
            return real(existing, path)

        real = os.link
        monkeypatch.setattr(io, "FileIO", Failing)
        monkeypatch.setattr(os, "link", link)
        monkeypatch.setattr(files, "open", lambda path, mode, buffering: Failing(path, mode[0]), raising=False)

    return begin


def fault(command: str, capsys) -> list[str]:
    """The two lines that a command ends with, and exit code 1."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        transfusion(command)
    error = capsys.readouterr().err
    lines = error.rpartition("transfusion: ")[2].splitlines()
    assert stop.value.code == 1 and len(lines) == 2 and "Traceback" not in error, error
    return lines


AGAIN = "Free some space there, then type the same command again"


@pytest.mark.parametrize(
    "name, goes_on",
    [
        pytest.param("config.yaml", False, marks=pytest.mark.slow),
        pytest.param("split.csv", False, marks=pytest.mark.slow),
        pytest.param("best.ckpt", False, marks=pytest.mark.slow),
        ("last.ckpt", False),
        ("delta.safetensors", True),
    ],
)
def test_training(name, goes_on, fails, capsys, home, tmp_path, monkeypatch):
    (tmp_path / "with space").mkdir()
    monkeypatch.chdir(tmp_path / "with space")
    write_configs(Path())
    fails(name)
    root = tmp_path / "with space" / "logs"
    lines = fault(f"fit --config bn.yaml --root {shlex.quote(str(root))} --test_after_fit true", capsys)
    run = root / "bn" / "version_0"
    assert run.is_dir() == name.endswith((".ckpt", ".safetensors"))  # a run that did not begin leaves nothing
    assert lines[0].startswith(f"Could not write {run}/") and f"{name}: No space left on device; " in lines[0]
    assert lines[0].endswith(" MB are free there")
    assert not list(run.rglob(f"*{name}*"))  # neither whole nor in part
    if not goes_on:
        assert lines[1] == AGAIN
        return
    command = lines[1].removeprefix("Free some space there, then resume with: transfusion ")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    transfusion(command)  # as it is to be typed: the path has a space
    said = capsys.readouterr().out
    typed = [shlex.split(line) for line in said[said.index("\nNext\n") :].splitlines()[2:]]
    places = [next(word for word in words if word.startswith(str(root))) for words in typed]
    assert len(places) == 4 and all(Path(place).is_dir() for place in places)
    assert list(run.rglob(name))


def test_curves_end_no_training(fails, capsys, tmp_path, caplog):
    """Each is said once, and what came before is whole."""
    fails("metrics.csv", "events.out")
    transfusion(f"fit --config bn.yaml --root {tmp_path} --trainer.max_epochs 2")
    (run,) = (tmp_path / "bn").glob("version_*")
    assert (run / "checkpoints/last.ckpt").is_file() and not (run / "metrics.csv").exists()
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2 and all("No space left" in text and "\nThe run goes on; its" in text for text in told)
    assert "/events.out" in told[0] and "/metrics.csv" in told[1]
    (events,) = run.glob("events.out*")
    assert events.stat().st_size == 0


def test_curves_that_waited_for_room_are_whole(fails, monkeypatch, tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event

    from transfusion_cli.reports.csv_log import MetricsCSV
    from transfusion_cli.reports.curves import Curves

    run = tmp_path / "name" / "version_0"
    loggers = Curves(run), MetricsCSV(run)
    for step in range(6):
        if step == 2:
            fails("metrics.csv", "events.out")
        if step == 4:
            monkeypatch.undo()
        for logger in loggers:
            logger.log_metrics({"loss": step / 2, **({"other": 1.0} if step > 2 else {})}, step)
            logger.save()
    frame = pd.read_csv(run / "metrics.csv")
    assert frame["step"].tolist() == list(range(6)) and frame["other"].notna().tolist() == [False] * 3 + [True] * 3
    (events,) = run.glob("events.out*")
    found = [Event.FromString(record) for record in EventFileLoader(str(events)).Load() if isinstance(record, bytes)]
    found = found or list(EventFileLoader(str(events)).Load())
    assert [event.step for event in found if event.summary.value and event.summary.value[0].tag == "loss"] == [
        *range(6)
    ]


@pytest.mark.parametrize("verb, name", [("test", "results.json"), ("test", "predictions"), ("predict", "predictions")])
def test_evaluation(verb, name, fails, capsys, home, tmp_path):
    before = {path: path.read_bytes() for path in (home / RUN).rglob("*") if path.is_file()}
    fails(name)
    lines = fault(f"{verb} --ckpt_path {RUN}/checkpoints/best.ckpt --output {tmp_path}/out", capsys)
    assert lines[0].startswith(f"Could not write {tmp_path}/out/{name}") and lines[1] == AGAIN
    assert not list((tmp_path / "out").glob(f"*{name}*"))
    assert before == {path: path.read_bytes() for path in (home / RUN).rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb, name", [("test", "results.json"), ("predict", "predictions.csv")])
def test_a_run_that_cannot_be_written_to_is_evaluated_elsewhere(verb, name, home, capsys, monkeypatch, tmp_path):
    """Told before anything is read, and with ``--output`` nothing is written there."""
    command = f"{verb} --ckpt_path {RUN}/checkpoints/best.ckpt"
    for error in (errno.EROFS, errno.EACCES, errno.ENOSPC):
        reason = os.strerror(error)

        def refused(dir, error=error, reason=reason):
            if RUN in str(dir):
                raise OSError(error, reason)
            return io.BytesIO()

        monkeypatch.setattr("tempfile.TemporaryFile", refused)
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
            patch.setattr("transfusion_cli.training.trainer.Trainer.__init__", lambda *_, **__: pytest.fail("too late"))
            transfusion(command)
        message = capsys.readouterr().err.rpartition("transfusion: ")[2].splitlines()
        assert stop.value.code == 2 and f"{RUN}: {reason}" in message[0]
        assert message[1:] == ["Give another folder: --output DIR"]
    transfusion(f"{command} --output {tmp_path}/out")
    assert (tmp_path / "out" / name).is_file() and not (home / RUN / name).exists()
    if verb == "test":
        assert json.loads((tmp_path / "out" / name).read_text())["provenance"]["own_split"] is True


def test_validation_leaves_the_curves_of_training_alone(home, tmp_path):
    """Nor an empty folder; with ``--output`` its numbers are in a file."""
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    transfusion(f"validate --ckpt_path {RUN}/checkpoints/best.ckpt")
    assert before == {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    transfusion(f"validate --ckpt_path {RUN}/checkpoints/best.ckpt --output {tmp_path}/out")
    assert pd.read_csv(tmp_path / "out/metrics.csv")["val/auroc"].notna().all()
    assert before == {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_all_files_of_a_run_have_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        transfusion(f"fit --config bn.yaml --root {tmp_path} --test_after_fit true")
        (run,) = (tmp_path / "bn").glob("version_*")
        transfusion(f"predict --ckpt_path {run}/checkpoints/delta.safetensors")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in run.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o640} and {"delta.safetensors", "predictions.csv", ".lock"} <= set(modes), modes
