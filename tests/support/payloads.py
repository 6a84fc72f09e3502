"""What a hostile file may hold where plain data are expected, and a witness of what it led to."""

import sys
from pathlib import Path
from typing import Any

COMMAND = "touch PWN"

_CALLS: dict[str, dict[str, Any]] = {
    "subprocess.getoutput": {"cmd": COMMAND},
    "subprocess.run": {"args": COMMAND, "shell": True},
    "subprocess.Popen": {"args": COMMAND, "shell": True},
    "os.system": {"command": COMMAND},
    "posix.system": {"command": COMMAND},
    "os.popen": {"cmd": COMMAND},
    "pty.spawn": {"argv": ["touch", "PWN"]},
    "builtins.eval": {"source": "open('PWN', 'w')"},
    "builtins.exec": {"source": "open('PWN', 'w')"},
    "builtins.open": {"file": "PWN", "mode": "w"},
    "builtins.__import__": {"name": "evilmod"},
    "importlib.import_module": {"name": "evilmod"},
    "runpy.run_path": {"path_name": "evilmod.py"},
    "evilmod.Evil": {},
    "evilmod.call": {"path": "PWN"},
    "pathlib.Path.touch": {"self": "PWN"},
    "shutil.rmtree": {"path": "victim"},
    "functools.partial": {"func": "os.system"},
    "webbrowser.open": {"url": "file:///PWN"},
    "torch.hub.load": {"repo_or_dir": ".", "model": "call", "source": "local"},
    "torch.utils.cpp_extension.load_inline": {"name": "x", "cpp_sources": "int x;"},
    "torch.utils.data.get_worker_info": {},
    "jsonargparse.set_parsing_settings": {"import_path_allowlist": ["os"]},
    "transfusion_cli.files.write_text": {"path": "PWN", "text": "x"},
    "transfusion_cli.tasks.delta.is_delta": {"path": "PWN"},
    "transfusion_cli.cli.slurm.subprocess.getoutput": {"cmd": COMMAND},
    "lightning.pytorch.callbacks.LambdaCallback": {"setup": "os.system"},
}
"""Import path to arguments that would leave a trace."""

SPECS = [{"class_path": path, "init_args": arguments} for path, arguments in _CALLS.items()]

TEXTS = [
    "evilmod.Evil",
    "os.system",
    "{class_path: subprocess.getoutput, init_args: {cmd: touch PWN}}",
    '{"class_path": "evilmod.Evil"}',
    "evil.yaml",
    "!!python/object/apply:os.system [touch PWN]",
    "../" * 12 + "tmp/PWN",
    "local-dir:.",
]

PAYLOADS = [*SPECS, *TEXTS, [SPECS[0]], {"a": SPECS[0]}, {"a": {"b": [SPECS[3], "evilmod.Evil"]}}]

NAMES = [*_CALLS, *TEXTS, "list", "dict", "nested"]
"""A name for each."""

WATCHED = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "subprocess.Popen", "webbrowser.open")


class Witness:
    """Notes whatever ran, beside the traces in a folder."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if self.on and (event in WATCHED or (event == "import" and arguments[0] == "evilmod")):
            self.seen.append(f"{event} {arguments[:1]}")

    def plant(self, folder: Path) -> None:
        """What payloads try to reach."""
        (folder / "evilmod.py").write_text("open('PWN', 'w')\nclass Evil: ...\ndef call(path='PWN'): open(path, 'w')\n")
        (folder / "hubconf.py").write_text("open('PWN', 'w')\ndef call(): ...\n")
        (folder / "evil.yaml").write_text("class_path: subprocess.getoutput\ninit_args: {cmd: touch PWN}\n")
        (folder / "victim").mkdir(exist_ok=True)

    def check(self, folder: Path) -> None:
        """Fail if anything ran."""
        assert not self.seen, self.seen
        assert not (folder / "PWN").exists() and (folder / "victim").is_dir()
        assert "evilmod" not in sys.modules
