"""``transfusion list``: what there is to name in a config."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from transfusion_cli.cli.config.shipped import shipped_configs
from transfusion_cli.data.layout.about import about
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

PACKAGE = Path(__file__).resolve().parents[1]

CONTRACTS = ("adapting", "base", "composed", "external", "features", "given_cases", "given_images", "source_head")
"""Files beside those of the classes that a config may name, whose own it does not."""


def run(verb: str, args: list[str]) -> None:
    """Print one list; ``backbones`` takes patterns.

    Raises:
        UserError: when it is not known what to list.
    """
    what, *patterns = args or [""]
    if what not in LISTS:
        raise UserError(f"usage: transfusion {verb} {{{','.join(LISTS)}}}\n{did_you_mean(what, LISTS)}")
    if patterns and what != "backbones":
        raise UserError(f"transfusion list {what} takes nothing more, not {patterns[0]!r}.")
    rows = list(LISTS[what](*patterns))
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        first, *more = text.splitlines() or [""]
        print(f"{name:<{width}}  {first}".rstrip())
        for line in more:
            print(" " * width, "", line)


def strategies() -> Iterator[tuple[str, str]]:
    """Transfer strategies, for ``--model.transfer``."""
    for name, docstring in descendants("TransferStrategy", PACKAGE / "strategies"):
        yield name, docstring.partition("\n")[0]


def datasets() -> Iterator[tuple[str, str]]:
    """Data modules, for ``--data``, with what must not cross splits and where the data come from."""
    for name, docstring in descendants("MedicalDataModule", PACKAGE / "datasets", PACKAGE / "data"):
        facts = about(docstring)
        lines = [docstring.partition("\n")[0], *(f"{key}: {facts[key]}" for key in ("Group", "Source") if key in facts)]
        yield name, "\n".join(lines)


def configs() -> Iterator[tuple[str, str]]:
    """Shipped configs, for ``--config``, with the first line of their header."""
    for name, path in shipped_configs().items():
        with path.open(encoding="utf-8") as file:
            first = file.readline().strip()
        beside = path.is_relative_to(Path.cwd())
        header = first.removeprefix("#").strip() if first.startswith("#") else ""
        yield str(path.relative_to(Path.cwd())) if beside else name, header


def backbones(*patterns: str) -> Iterator[tuple[str, str]]:
    """Backbones, for ``--model.backbone``: all of timm's and our own, or those that match a pattern (``resnet*``).

    A word without stars is a name or, where there is none, a part of names.

    Raises:
        UserError: when none matches.
    """
    import timm

    import transfusion_cli.models  # noqa: F401  registers our own

    stars = [p if set(p) & set("*?[") or timm.models.is_model(p) else f"*{p}*" for p in patterns]
    names = timm.list_models(stars or "*")
    if not names:
        near = did_you_mean(patterns[0].strip("*"), timm.list_models(), otherwise="All: transfusion list backbones")
        raise UserError(f"No backbone matches {' '.join(patterns)}.\n{near}")
    for name in names:
        yield name, "pretrained" if timm.models.is_model_pretrained(name) else ""


LISTS: dict[str, Callable[..., Iterator[tuple[str, str]]]] = {
    "strategies": strategies,
    "datasets": datasets,
    "backbones": backbones,
    "configs": configs,
}


def descendants(base: str, folder: Path, *contracts: Path) -> Iterator[tuple[str, str]]:
    """Public classes in the files of a folder that descend from ``base``, with their docstrings; contracts left out.

    The source is parsed, not imported: importing would cost seconds.

    Args:
        base: name of the class they descend from.
        folder: its files hold them; what they are built upon may lie below.
        contracts: folders with more of what they are built upon.
    """
    parents: dict[str, list[str]] = {}
    docstrings: dict[str, str] = {}
    for path in sorted(path for place in (folder, *contracts) for path in place.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                parents[node.name] = [ast.unparse(b).rpartition(".")[2] for b in node.bases]
                if path.parent == folder and path.stem not in CONTRACTS and not node.name.startswith("_"):
                    docstrings[node.name] = ast.get_docstring(node) or ""

    def descends(name: str) -> bool:
        return name == base or any(descends(parent) for parent in parents.get(name, []))

    return ((name, text) for name, text in sorted(docstrings.items()) if descends(name))
