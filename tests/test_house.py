"""The house guards itself: what imports what, and how long files are (docs/architecture.md draws it)."""

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "transfusion_cli"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LONGEST = 400

BELOW = {
    "cli": {
        *("run_report", "analysis", "transferability", "comparison", "export", "explanation", "inspection", "datasets"),
        *("reports", "training", "tasks", "strategies", "models", "metrics", "data"),
    },
    "export": {"reports", "tasks", "strategies", "models", "metrics", "data"},
    "explanation": {"tasks", "models", "metrics"},
    "run_report": {"comparison", "inspection", "reports", "metrics", "data"},
    "comparison": {"reports", "metrics"},
    "transferability": {"analysis", "reports", "tasks", "strategies", "models", "metrics", "data"},
    "analysis": {"reports", "tasks", "strategies", "models", "metrics", "data"},
    "reports": {"training", "tasks", "strategies", "models", "metrics", "data"},
    "training": {"tasks", "strategies", "models", "metrics"},
    "tasks": {"strategies", "models", "metrics"},
    "strategies": {"models"},
    "models": set(),
    "metrics": set(),
    "inspection": {"data"},
    "datasets": {"data", "phantoms"},
    "phantoms": set(),
    "data": set(),
}
"""What each folder may import, beside itself and the single files on the ground floor."""


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of this package that a module imports anywhere, for types too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inside & set(MODULES)) or {node.module}
    return frozenset(found & set(MODULES)) - {module}


def floor(module: str) -> str:
    """The folder that a module is in; empty on the ground floor."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else ""


@pytest.mark.parametrize("folder", sorted({floor(module) for module in MODULES}))
def test_nothing_imports_upwards(folder):
    allowed = BELOW.get(folder, set()) | {folder, ""}
    wrong = [
        f"{module} imports {other}"
        for module in MODULES
        if floor(module) == folder and module != "transfusion_cli.__main__"
        for other in imports(module)
        if floor(other) not in allowed
    ]
    assert not wrong


LATE = {"transfusion_cli.tasks.base": "transfusion_cli.tasks.restore"}
"""Lightning has ``load_from_checkpoint`` be a method of the task, which restoring makes: imported when it is called."""


def test_nothing_imports_in_a_circle():
    below = {module: imports(module) - {LATE.get(module)} for module in MODULES}
    try:
        list(TopologicalSorter(below).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_files_are_short():
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}


def test_the_map_shows_every_folder():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^ {4}(\w+)/", text, re.MULTILINE))
    assert {floor(module) for module in MODULES} - {""} <= named
