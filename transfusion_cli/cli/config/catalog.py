"""The classes that a config may name, and their arguments, read from the sources: importing them would take seconds."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("transfusion_cli", "lightning.pytorch", "torch.optim")
"""Where the classes are that a config names without its author having written any."""

SCALARS = {"int": int, "float": float, "bool": bool}

_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
_ALIAS = re.compile(r"^(\w+) = (Literal\[.*?\])", re.MULTILINE | re.DOTALL)


class Kind(NamedTuple):
    """What an annotation lets a value be.

    Args:
        scalars: names of the types of numbers, and ``bool``.
        choices: words.
        null: whether it may be null.
        classes: whether a class may be named; its name otherwise would be taken for something else.
        closed: whether that is all.
    """

    scalars: frozenset[str]
    choices: tuple[str, ...]
    null: bool
    classes: bool
    closed: bool

    def __str__(self) -> str:
        words = [*self.choices, *(name for name in SCALARS if name in self.scalars), *(["null"] if self.null else [])]
        return " or ".join([", ".join(words[:-1]), *words[-1:]] if words[1:] else words)


@cache
def files() -> dict[str, list[Path]]:
    """Name of a class to the files that define one of that name."""
    found: dict[str, list[Path]] = {}
    for package in PACKAGES:
        top, *below = package.split(".")
        spec = find_spec(top)  # does not import it
        for place in (spec and spec.submodule_search_locations) or ():
            for path in sorted(Path(place, *below).rglob("*.py")):
                for name in _CLASS.findall(_text(path)):
                    found.setdefault(name, []).append(path)
    return found


@cache
def arguments(name: str) -> dict[str, Kind] | None:
    """What the constructor of a class takes, what ``**kwargs`` hands on included; None where that is not clear.

    Of several classes of one name, what any of them takes.
    """
    found: dict[str, Kind] = {}
    for path in files().get(name, []):
        own = _of(name, path)
        if own is None:
            return None
        found |= own
    return found if name in files() else None


def _of(name: str, path: Path) -> dict[str, Kind] | None:
    cls = next(node for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef) and node.name == name)
    init = next((n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    found: dict[str, Kind] = {}
    if init is not None:
        for arg in [*init.args.args[1:], *init.args.kwonlyargs]:
            found[arg.arg] = kind(arg.annotation)
        if init.args.kwarg is None:
            return found
        if not re.search(rf"super\(\).__init__\([^)]*\*\*{init.args.kwarg.arg}", ast.unparse(init)):
            return None
    elif cls.decorator_list or not cls.bases:
        return None
    for base in cls.bases:
        above = ast.unparse(base).rpartition(".")[2]
        # A class may be called like its base.
        others = [file for file in files().get(above, []) if above != name or file != path]
        if not others:
            return None
        for file in others:
            more = _of(above, file)
            if more is None:
                return None
            found = more | found
    return found


def kind(annotation: ast.expr | None) -> Kind:
    """What an annotation lets a value be."""
    scalars: set[str] = set()
    choices: list[str] = []
    null = classes = other = text = False
    for part in _members(annotation):
        match part:
            case ast.Constant(value=None):
                null = True
            case ast.Name(id="int" | "float" | "bool" as name):
                scalars.add(name)
            case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
                values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                choices += [str(value.value) for value in values if isinstance(value, ast.Constant)]
            case ast.Name(id=name) if name in aliases():
                choices += aliases()[name]
            case None | ast.Name(id="str"):
                other = text = True
            case _:
                names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
                classes = classes or any(name in files() or name.endswith("Callable") for name in names)
                other = True
    # Where text is allowed, a word need not be a class.
    return Kind(frozenset(scalars), tuple(choices), null, classes and not text, not other)


def _members(annotation: ast.expr | None) -> list[ast.expr | None]:
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_members(left), *_members(right)]
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return [*_members(inner), ast.Constant(None)]
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=parts)):
            return [member for part in parts for member in _members(part)]
        case ast.Constant(value=str(text)):
            return _members(ast.parse(text, mode="eval").body)
        case _:
            return [annotation]


def is_ours(name: str) -> bool:
    """Whether a class is of this program, whose annotations say what they mean."""
    return bool(files().get(name)) and all("transfusion_cli" in path.parts for path in files()[name])


def owners(key: str) -> list[str]:
    """The classes of this program, the optimizers and the schedules that take an argument of this name."""
    word = re.compile(rf"\b{re.escape(key)}\b")
    found = set()
    for name, paths in files().items():
        ours = (path for path in paths if {"transfusion_cli", "optim"} & set(path.parts))
        if not name.startswith("_") and any(word.search(_text(path)) for path in ours):
            found |= {name} if key in (arguments(name) or {}) else set()
    return sorted(found)


def parameters(name: str, *methods: str) -> set[str]:
    """What some methods take, of all classes of one name."""
    classes = [
        node
        for path in files().get(name, [])
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    functions = [node for cls in classes for node in cls.body if isinstance(node, ast.FunctionDef)]
    return {arg.arg for f in functions if f.name in methods for arg in (*f.args.args, *f.args.kwonlyargs)}


@cache
def aliases() -> dict[str, list[str]]:
    """Our own names for choices of words, such as ``ResizeMode``."""
    own = Path(__file__).resolve().parents[2]
    found = {}
    for path in own.rglob("*.py"):
        for name, words in _ALIAS.findall(_text(path)):
            found[name] = [str(word) for word in ast.literal_eval(words.removeprefix("Literal"))]
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path))


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
