"""The dispatcher: verbs, help, version, and what it does not import."""

import contextlib
import subprocess
import sys

import pytest

import transfusion_cli
from transfusion_cli.cli.main import VERBS, main
from transfusion_cli.errors import UserError

LIGHT = [
    ["--version"],
    ["--help"],
    [],
    ["list", "configs"],
    ["list", "strategies"],
    ["list", "datasets"],
    ["completion", "bash"],
    ["fitt"],
    ["check", "--help"],
    ["list", "--help"],
    ["completion", "-h"],
    ["help", "check"],
]


def test_light_verbs_import_nothing_heavy():
    code = (
        "import sys\n"
        "from transfusion_cli.cli.main import main\n"
        f"for args in {LIGHT!r}:\n"
        "    try: main(args)\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'jsonargparse', 'timm', 'numpy', 'pandas', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag, capsys):
    main([flag])
    assert capsys.readouterr().out == f"transfusion {transfusion_cli.__version__}\n"


@pytest.mark.parametrize("args", [["--help"], ["-h"], []])
def test_help_names_every_verb_and_the_keys_met_most(args, capsys):
    main(args)
    out = capsys.readouterr().out
    keys = ["--data.root", "--data.batch_size", "--model.backbone", "--model.pretrained", "--model.transfer"]
    for word in [*VERBS, *keys, "--trainer.max_epochs", "--ckpt_path"]:
        assert word in out


@pytest.mark.parametrize("verb", ["check", "list", "completion", "compare", "data"])
def test_help_of_a_verb_is_its_own(verb, capsys):
    told = []
    for args in ([verb, "--help"], ["help", verb]):
        with contextlib.suppress(SystemExit):
            main(args)
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] and told[0].startswith(f"usage: transfusion {verb} ")


def test_unknown_verb(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fitt"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "transfusion: There is no verb 'fitt'.\nDid you mean fit?\n"


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("TRANSFUSION_DEBUG", "1")
    with pytest.raises(UserError):
        main(["fitt"])


def test_module_and_console_script_point_to_the_same():
    module = subprocess.run([sys.executable, "-m", "transfusion_cli", "--version"], check=True, capture_output=True)
    assert module.stdout.decode() == f"transfusion {transfusion_cli.__version__}\n"
    code = "import sys; sys.argv = ['transfusion', 'lost']; from transfusion_cli.cli.main import entry; entry()"
    script = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert script.returncode == 2
    assert b"Did you mean list?" in script.stderr
