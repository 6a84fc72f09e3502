"""``explain``: maps of the cases that were asked for, in a folder of their own."""

import csv
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commands import mistake, ran_once, transfusion
from support.images import save_picture
from support.runs import make_segmentation, make_task

from transfusion_cli.cli import explained
from transfusion_cli.cli.explained import can_be_explained, file_name, label_of
from transfusion_cli.errors import UserError
from transfusion_cli.explanation import summary
from transfusion_cli.reports.provenance import file_hash
from transfusion_cli.run_folder import RunFolder

OWN, PROMPTED = (f"lightning_logs/{name}/version_0" for name in ("base", "prompted"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run that was tested, and one of a transformer with prompts that was not."""
    folder = ran_once(
        tmp_path_factory.mktemp("home"), "fit --config base.yaml --data.image_size 32 --test_after_fit true"
    )
    prompted = "--name prompted --model.backbone cifar_vit6 --model.transfer VisualPromptTuning --data.kind multiclass"
    return ran_once(folder, f"fit --config base.yaml --data.image_size 32 {prompted}")


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "maps.csv").open() as file:
        return list(csv.DictReader(file))


def predicted() -> dict[str, tuple[float, float]]:
    """Id to p and truth of the test."""
    with open(f"{OWN}/predictions_test.csv") as file:
        return {row["id"]: (float(row["p_positive"]), float(row["label_positive"])) for row in csv.DictReader(file)}


def everything() -> set[Path]:
    return set(Path().rglob("*"))


def test_the_worst_errors_of_the_test(tmp_path, capsys):
    before = file_hash(Path(OWN) / "checkpoints/best.ckpt")
    path = transfusion(f"explain {OWN} --worst 3 --output {tmp_path}/first")
    said = capsys.readouterr().out
    p = predicted()
    wrong = sorted(
        (name for name in p if (p[name][0] > 0.5) != p[name][1]), key=lambda name: -abs(np.subtract(*p[name]))
    )
    rows = table(path)
    assert wrong and {row["id"] for row in rows} <= set(wrong) and len(rows) == min(3, len(wrong))
    assert wrong[0] in {row["id"] for row in rows}
    for row in rows:
        probability, truth = p[row["id"]]
        positive = probability > 0.5
        assert row["label"] == ("positive" if positive else "negative")
        assert row["truth"] == ("positive" if truth else "negative") != row["label"]
        assert float(row["probability"]) == pytest.approx(probability if positive else 1 - probability, abs=1e-5)
    assert {file.name for file in path.iterdir()} == {"worst.png", "maps.csv", *(row["file"] for row in rows)}
    assert all(Image.open(path / name).size[0] > 300 for name in ("worst.png", rows[0]["file"]))
    known = [float(row["spearman_all"]) for row in rows if row["spearman_all"]]
    assert all(-1 <= value <= 1 for value in known)
    if known:
        assert f"{np.mean(known):5.2f}  ({min(known):.2f} to {max(known):.2f})" in said
    assert f"Written to {path}/" in said
    assert file_hash(Path(OWN) / "checkpoints/best.ckpt") == before


def test_what_is_there_stays_and_a_draw_is_the_same_again():
    first = transfusion(f"explain {OWN}")
    content = (first / "maps.csv").read_bytes()
    second = transfusion(f"explain {OWN}/checkpoints/best.ckpt")
    assert first == Path(OWN) / "explained"
    assert (second.parent.resolve(), second.name) == (Path(OWN).resolve(), "explained_1")
    assert (first / "maps.csv").read_bytes() == content == (second / "maps.csv").read_bytes()


def test_cases_by_their_ids(tmp_path):
    """Of any split, and of a network with prompts."""
    path = transfusion(f"explain {PROMPTED} --ids s17 s0 s25 s0 --label b --output {tmp_path}/taken")
    rows = table(path)
    assert [row["id"] for row in rows] == ["s17", "s0", "s25"] and {row["label"] for row in rows} == {"b"}
    assert {file.name for file in path.iterdir()} == {"maps.csv", *(row["file"] for row in rows)}


def test_images_of_a_folder(tmp_path, caplog):
    for number in range(2):
        save_picture(tmp_path / "new" / "a" / f"{number}.png", number, (40, 30))
    (tmp_path / "new" / "broken.png").write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING):
        path = transfusion(f"explain {OWN} --input {tmp_path}/new --output {tmp_path}/taken")
    rows = table(path)
    assert [(row["id"], row["truth"]) for row in rows] == [("a/0.png", "unknown"), ("a/1.png", "unknown")]
    assert "broken.png cannot be read, and is left out" in caplog.text
    assert len(list(path.glob("*.png"))) == 2


def test_it_warns_where_maps_do_not_change(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(summary, "TOO_ALIKE", -1)
    with caplog.at_level(logging.WARNING):
        transfusion(f"explain {OWN} --worst 2 --output {tmp_path}/taken")
    assert "say nothing about what this network learned" in caplog.text


def test_a_run_without_a_test_or_without_errors(tmp_path, monkeypatch, capsys):
    before = everything()
    assert f"{PROMPTED} was not tested: transfusion test {PROMPTED}" in mistake(f"explain {PROMPTED}", capsys)
    monkeypatch.setattr(explained.WorstError, "of", lambda *args: ([], {}))
    assert "has no errors to explain" in mistake(f"explain {OWN}", capsys)
    assert everything() == before


def test_nothing_is_left_of_what_fails(tmp_path, monkeypatch):
    def broken(found):
        raise ZeroDivisionError

    monkeypatch.setattr(explained, "sheet", broken)
    monkeypatch.setenv("TRANSFUSION_DEBUG", "1")
    with pytest.raises(BaseException):  # noqa: B017
        transfusion(f"explain {OWN} --output {tmp_path}/above/taken")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("explain", "RUN"),
        ("explain nothing", "There is no run 'nothing'"),
        (f"explain {OWN} --worst 0", "--worst takes a number from 1 on, not 0"),
        (f"explain {OWN} --worst 3 --ids s1", "not allowed with"),
        (f"explain {OWN} --ids s99", "There is no case 's99' in the run's data.\nDid you mean s9?"),
        (f"explain {OWN} --ids s1 --label positiv", "There is no class or label 'positiv'.\nDid you mean positive?"),
        (f"explain {OWN} --input nowhere", "There is nothing at nowhere"),
        (f"explain {OWN} --ids s1 --data.rot x", "rot"),
    ],
)
def test_mistakes(command, said, capsys):
    before = everything()
    assert said in mistake(command, capsys)
    assert everything() == before


def test_runs_of_other_kinds_are_refused_by_name(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(UserError, match="run of SegmentationTask"):
        can_be_explained(make_segmentation(tmp_path), run)
    with pytest.raises(UserError, match="on volumes"):
        can_be_explained(make_task(tmp_path, dims=3), run)
    task = make_task(tmp_path)
    assert can_be_explained(task, run) is task


def test_labels_that_errors_are_about(tmp_path):
    task = make_task(tmp_path, kind="multilabel")
    assert [label_of(f"{name} missed", task) for name in "abc"] == [0, 1, 2]
    assert label_of("b where there is none", task) == 1 and label_of("d missed", task) is None
    assert label_of("positive missed", make_task(tmp_path)) is None


def test_names_of_files():
    assert file_name("a b/c:d.png") == "a_b_c_d.png" and file_name("../..") == "case"
    assert len(file_name("x" * 300)) == 60


def test_data_that_moved_are_given_by_a_flag(tmp_path):
    shutil.copytree(OWN, tmp_path / "moved" / "version_0", ignore=shutil.ignore_patterns("explained*"))
    path = transfusion(f"explain {tmp_path}/moved --ids s1 --data.other 8")
    assert path == tmp_path / "moved" / "version_0" / "explained"
