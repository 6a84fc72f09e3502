"""The commands of docs/ parse."""

import inspect
import re
import shlex
from pathlib import Path

import pytest
from support.commands import transfusion

from transfusion_cli import datasets, strategies
from transfusion_cli.tasks.segmentation import SegmentationTask

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "transfusion.md").read_text()
MASKS = (DOCS / "segmentation.md").read_text()


def commands() -> list[str]:
    """The runs of the study's loop, as a shell expands them."""
    study = " ".join(re.findall(r'study="(?:\$study )?(.*)"', TEXT)).replace("~", "home")
    return [
        f"{study} {rest}".replace("$seed", "3").replace("$stage", "block2")
        for rest in re.findall(r"^ +\$study (.*)$", TEXT, re.MULTILINE)
    ]


def test_they_are_found():
    assert len(commands()) == 6


@pytest.mark.parametrize("command", commands())
def test_the_runs_of_the_study_parse(command, capsys):
    program, *words = shlex.split(command)
    assert program == "transfusion"
    with pytest.raises(SystemExit) as stop:
        transfusion(shlex.join([*words, "--print_config"]))
    assert stop.value.code == 0
    assert "steps_to_target" in capsys.readouterr().out


@pytest.mark.parametrize("command", re.findall(r"^ {4}transfusion (.*)$", MASKS, re.MULTILINE))
def test_the_commands_on_masks_parse(command, capsys):
    with pytest.raises(SystemExit) as stop:
        transfusion(f"{command} --print_config")
    assert stop.value.code == 0
    assert "SegmentationTask" in capsys.readouterr().out


def test_what_is_said_of_masks_names_options_that_there_are():
    def options(*kinds):
        methods = [base.__init__ for kind in kinds for base in kind.__mro__ if "__init__" in vars(base)]
        return {name for method in methods for name in inspect.signature(method).parameters}

    data = options(*(getattr(datasets, name) for name in datasets.__all__))
    transfer = options(*(getattr(strategies, name) for name in strategies.__all__))
    known = {"data": data, "model": options(SegmentationTask), "model.transfer": transfer, "model.backbone_args": None}
    named = re.findall(r"--(data|model(?:\.transfer|\.backbone_args)?)\.(\w+)", MASKS)
    assert len(named) > 25
    wrong = {(where, name) for where, name in named if known[where] is not None and name not in known[where]}
    assert wrong - {("model", "transfer"), ("model", "backbone_args")} == set()


def test_the_table_of_faults_names_tests_that_there_are():
    root = Path(__file__).parents[1]
    named = set(re.findall(r"tests/[\w/]+\.py", (root / "docs" / "faults.md").read_text()))
    assert len(named) > 20
    assert {name for name in named if not (root / name).is_file()} == set()
