"""Completion scripts: small, valid, and complete in what they offer."""

import re
import shutil
import subprocess

import pytest

from transfusion_cli.cli import calibrate, compare, explain, export, report
from transfusion_cli.cli.completion import FLAGS, OWN, SHELLS, script
from transfusion_cli.cli.config.names import class_keys
from transfusion_cli.cli.main import VERBS, main


@pytest.mark.parametrize("shell", SHELLS)
def test_offers_verbs_strategies_datasets_and_flags(shell, capsys):
    main(["completion", shell])
    text = capsys.readouterr().out
    for word in [*VERBS, "BatchNormAffine", "CheXpertDataModule", "--model.backbone"]:
        assert word in text
    assert "@" not in text.replace("$@", "")
    assert len(text) < 6000


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_itself_reads_it(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=script(shell), text=True, check=True, capture_output=True)


def bash_offers(*words):
    """What bash would offer for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _transfusion; echo ${{COMPREPLY[@]}}"
    code = f"{script('bash')}\n{ask}"
    return subprocess.run(["bash", "-c", code], text=True, check=True, capture_output=True).stdout.split()


def test_bash_completes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").touch()
    assert bash_offers("transfusion", "f") == ["fit"]
    assert bash_offers("transfusion", "fit", "--model.transfer", "Batch") == ["BatchNormAffine"]
    assert bash_offers("transfusion", "fit", "--config", "my") == ["my.yaml"]
    assert bash_offers("transfusion", "fit", "--trainer.max") == ["--trainer.max_epochs"]
    assert bash_offers("transfusion", "fit", "--res") == ["--resume"]
    (tmp_path / "logs").mkdir()
    assert bash_offers("transfusion", "test", "lo") == bash_offers("transfusion", "fit", "--resume", "l") == ["logs"]
    assert bash_offers("transfusion", "rank", "--cand") == ["--candidates"]
    assert bash_offers("transfusion", "rank", "--candidates", "my") == ["my.yaml"]
    assert bash_offers("transfusion", "compare", "--ag") == ["--against"]
    assert bash_offers("transfusion", "compare", "--model") == []
    assert bash_offers("transfusion", "export", "logs", "--form") == ["--format"]
    assert bash_offers("transfusion", "export", "logs", "--format", "o") == ["onnx"]
    assert bash_offers("transfusion", "compare", "a", "--figures", "l") == ["logs"]
    assert set(bash_offers("transfusion", "list", "")) == {"strategies", "datasets", "backbones", "configs"}


def test_every_offered_flag_exists(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--help"])
    assert stop.value.code == 0
    helped = capsys.readouterr().out
    for flag in FLAGS:
        section, _, key = flag.removeprefix("--").partition(".")
        if section not in ("data", "model", "early_stopping"):  # those show their keys in a help of their own
            assert re.search(rf"{re.escape(flag)}\b", helped), flag
    assert "--resume RUN" in helped
    for module in (compare, report):
        name = module.__name__.rpartition(".")[2]
        assert set(re.findall(r"--\w+", module.flags().format_usage())) == set(OWN[name].split())
    for module in (explain, export):
        name = module.__name__.rpartition(".")[2]
        assert set(re.findall(r"--[\w.]+", module.flags().format_help())) - {"--help"} == set(OWN[name].split())
    assert {*calibrate.flags()._option_string_actions} - {"-h", "--help"} == set(OWN["calibrate"].split())
    classes = class_keys()
    for flag in FLAGS:
        section, _, key = flag.removeprefix("--").partition(".")
        if key and section == "data":
            kinds = ("CheXpertDataModule", "MaskTableDataModule", "NNUNetDataModule")
            assert any(key in classes[kind] for kind in kinds), flag
        if key and section == "model":
            assert any(key.split(".")[0] in classes[kind] for kind in ("ClassificationTask", "SegmentationTask")), flag


def test_unknown_shell(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["completion", "fsh"])
    assert stop.value.code == 2
    assert "Did you mean fish?" in capsys.readouterr().err
