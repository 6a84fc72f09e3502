"""The commands of docs/ parse."""

import re
import shlex
from pathlib import Path

import pytest
from support.commands import transfusion

TEXT = (Path(__file__).parents[1] / "docs" / "transfusion.md").read_text()


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


def test_the_table_of_faults_names_tests_that_there_are():
    root = Path(__file__).parents[1]
    named = set(re.findall(r"tests/[\w/]+\.py", (root / "docs" / "faults.md").read_text()))
    assert len(named) > 20
    assert {name for name in named if not (root / name).is_file()} == set()
