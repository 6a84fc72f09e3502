"""Candidates as they are typed."""

import pytest
import torch
from support.networks import source_file

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.candidates import Candidate, read_candidates


def test_each_form(tmp_path):
    file = source_file(tmp_path)
    published, local, drawn, of_config = read_candidates(
        ["resnet18.a1_in1k", f"cifar_resnet20={file}", "cifar_resnet20=random:3", "random:4"]
    )
    assert published == Candidate("resnet18.a1_in1k", "resnet18.a1_in1k", True)
    assert local == Candidate("cifar_resnet20=cifar_resnet20_0.pth", "cifar_resnet20", file)
    assert drawn == Candidate("cifar_resnet20=random:3", "cifar_resnet20", False, 3)
    assert of_config == Candidate("random:4", None, False, 4)


def test_runs(tmp_path):
    folder = tmp_path / "bn" / "version_0" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({}, folder / "best.ckpt")
    (folder.parent / "config.yaml").touch()
    run, before, given = read_candidates(f"{kind}{folder.parent}" for kind in ("", "init:", "pretrained:"))
    assert [one.name for one in (run, before, given)] == ["bn/0", "init:bn/0", "pretrained:bn/0"]
    assert [one.spec.kind for one in (run, before, given)] == ["run", "init", "pretrained"]


def test_a_list_in_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.txt").write_text("# mine\nresnet18  # small\n\nrandom:1\nresnet18\n")
    expected = ["resnet18", "random:1", "resnet34"]
    assert [one.name for one in read_candidates(["@some.txt", "resnet34"])] == expected
    assert [one.name for one in read_candidates(["some.txt", "resnet34"])] == expected


def test_files_of_one_name_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    words = [f"cifar_resnet20={source_file(tmp_path / folder)}" for folder in ("a", "b")]
    names = [one.name for one in read_candidates(words)]
    assert names == ["cifar_resnet20=cifar_resnet20_0.pth", "cifar_resnet20=cifar_resnet20_0.pth #2"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("resnet81", "Did you mean resnet18"),
        ("resnet18=nowhere.pth", "No weights file 'nowhere.pth'"),
        ("resnet18=random:x", "Try resnet18=random:1"),
        ("random:x", "takes a seed"),
        ("init:nowhere", "No checkpoint at nowhere"),
        ("@nowhere.txt", "cannot be read"),
    ],
)
def test_mistakes(word, told):
    with pytest.raises(UserError, match=told):
        read_candidates([word])


def test_an_empty_list(tmp_path):
    (tmp_path / "none.txt").write_text("# nothing\n")
    with pytest.raises(UserError, match="no candidate to rank"):
        read_candidates([f"@{tmp_path / 'none.txt'}"])
