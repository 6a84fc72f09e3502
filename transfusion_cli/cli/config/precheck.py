"""What is misspelt in a command and its config files, found before anything heavy is imported.

It knows the keys and types of classes from their sources (``catalog``), and passes on to the parser proper whatever it
is not sure of: it never refuses what that one would take.
"""

import ast
import os
import re
import shlex
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from transfusion_cli.cli.config import catalog
from transfusion_cli.cli.config.chain import EXTENDS, chain
from transfusion_cli.cli.config.flags import value_of
from transfusion_cli.cli.config.resume import checkpoint_file
from transfusion_cli.cli.config.shipped import find_config
from transfusion_cli.cli.config.yaml_nodes import Place, items, nodes, root_of, shown
from transfusion_cli.cli.data import check_action
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.yaml_file import read_yaml

SECTIONS: dict[str, str | None] = {
    "data": None,
    "model": "ClassificationTask",
    "trainer": "Trainer",
    "checkpoint": "RunCheckpoint",
    "early_stopping": "PhaseEarlyStopping",
    "steps_to_target": "StepsToTarget",
}
"""Sections that stand for a class, with the one that they stand for unless they say so."""

HAS_WORDS = ("data", "analyze", "rank", "calibrate")
"""Verbs that take words beside flags."""

SPEC = ("class_path", "init_args", "dict_kwargs")
"""Keys of a class that are none of its arguments."""

_CLASS = re.compile(r"[A-Z]\w*|(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*")
_WORD = re.compile(r"[A-Za-z][A-Za-z_ ]+")
_NUMBERS = ("true", "false", "yes", "no", "on", "off", "null", "none", "inf", "nan", "infinity")
_SHOWN = 3
"""Mistakes that are told; the others are counted."""


class Precheck:
    """Collects the mistakes of one command.

    Args:
        verb: of the command.
        args: what follows it.
    """

    def __init__(self, verb: str, args: list[str]) -> None:
        self.verb, self.args = verb, args
        self.told: dict[str, str] = {}
        """Mistakes, with the advice on each."""
        self.unsure: set[str] = set()
        """Those about classes, which a module of the user's own may bring along."""
        self.foreign = bool(os.environ.get("TRANSFUSION_TRUST")) or any(a.startswith("--trust") for a in args)
        self.classes: dict[str, str | None] = dict(SECTIONS)
        if value_of(args, "--ckpt_path", "--resume") is not None:
            self.forget()

    def run(self) -> None:
        """Look at everything, in the order in which it counts.

        Raises:
            UserError: telling all mistakes.
        """
        if self.verb == "data":
            check_action(self.args)
        checkpoint_file(self.args)
        self.command_line()
        told = [mistake for mistake in self.told if not (self.foreign and mistake in self.unsure)]
        if not told:
            return
        if len(told) == 1:
            raise UserError(f"{told[0]}\n{self.told[told[0]]}".rstrip())
        more = f"\nand {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise UserError("\n".join(f"{one} {self.told[one]}".rstrip() for one in told[:_SHOWN]) + more)

    def command_line(self) -> None:
        """Walk through the flags."""
        words = [*self.args, "--"]
        asks_help = False
        position = 0
        while position < len(words) - 1:
            flag, equals, value = words[position].partition("=")
            position += 1
            if flag in ("-h", "--help"):
                asks_help = True
            if not flag.startswith("-"):
                self.word(flag)
                continue
            if not equals:
                value = words[position]
                if value.startswith("--"):
                    value = None  # type: ignore[assignment]
                else:
                    position += 1
            if flag in ("--config", "-c"):
                if value is not None:
                    self.config(value)
            elif flag.startswith("--") and not asks_help:
                self.flag(flag.removeprefix("--").split("."), value)

    def word(self, word: str) -> None:
        """A word that is no value of a flag."""
        if self.verb not in HAS_WORDS and word.endswith((".yaml", ".yml")):
            advice = f"A value follows its flag: --config {shlex.quote(word)}"
            self.mistake(f"There is no place for {word!r} on the command line.", advice)
        if self.verb not in ("data", "rank"):
            self.forget()  # it may be a run

    def forget(self) -> None:
        """Know no more of what the config says: a run that is named brings its own."""
        self.classes |= {"data": None, "model": None}

    def flag(self, keys: list[str], value: str | None) -> None:
        """One flag, in parts, with what follows it."""
        place = Place()
        if keys[-1] == "help":
            if value is not None:
                self.class_name(value, place)
            return
        head, *rest = keys
        head = head.rstrip("+")
        if head not in SECTIONS:
            if not rest and self.verb in HAS_WORDS:  # and flags of their own
                return
            self.top_level(head, place)
            return
        self.put(head, rest, nodes(value), place)

    def config(self, value: str) -> None:
        """A config file with all that it extends, or a config written out."""
        if value.lstrip().startswith("{"):
            self.sections(nodes(value), Place())
            return
        for path in chain(find_config(value)):
            self.sections(root_of(path), Place(path))

    def sections(self, root: yaml.Node | None, place: Place) -> None:
        """The sections of a config."""
        for key, value in items(root):
            if key.value == EXTENDS:
                continue
            head, *rest = str(key.value).split(".")
            head = head.rstrip("+")
            if head in SECTIONS:
                self.put(head, rest, value, place.of(key))
            else:
                self.top_level(head, place.of(key))

    def top_level(self, name: str, place: Place) -> None:
        """A key that is no section of a class."""
        if name in top_level_words():
            return
        known = [*SECTIONS, *KNOWN_KEYS]
        owner = next((s for s, cls in self.classes.items() if name in (catalog.arguments(cls or "") or {})), None)
        otherwise = f"Did you mean {'--' if place.file is None else ''}{owner}.{name}?" if owner else None
        self.mistake(f"Unknown key {name!r}{place}.", did_you_mean(name, known, otherwise))

    def section(self, name: str, value: yaml.Node | None, place: Place) -> None:
        """A whole section."""
        kind = "list" if isinstance(value, yaml.SequenceNode) else "other"
        if isinstance(value, yaml.ScalarNode) and not value.value.endswith((".yaml", ".yml")):
            kind = value.tag.rpartition(":")[2]
        if kind == "list" or (kind not in ("other", "null") and name in ("trainer", "checkpoint")):
            self.mistake(f"{name} is a section of keys, not {shown(value)!r}{place}.", "")
        elif kind not in ("other", "null", "str"):
            self.mistake(f"{name} is the name of a class, or a section, not {shown(value)!r}{place}.", "")
        else:
            self.instance(name, value, place)

    def put(self, slot: str, keys: list[str], value: yaml.Node | None, place: Place) -> None:
        """A value at ``slot`` or, through ``keys``, inside it."""
        keys = [key for key in keys if key not in ("init_args", "class_path")]
        if keys:
            self.argument(slot, keys, value, place)
        elif slot in SECTIONS:
            self.section(slot, value, place)
        else:
            self.instance(slot, value, place)

    def instance(self, slot: str, value: yaml.Node | None, place: Place) -> None:
        """What stands where a class may: its name, a file, or its name with arguments."""
        match value:
            case yaml.ScalarNode(value=str(text)) if text.endswith((".yaml", ".yml")):
                self.section_file(slot, text, place.of(value))
            case yaml.ScalarNode(value=str(text)):
                if _CLASS.fullmatch(text):
                    self.classes[slot] = self.class_name(text, place.of(value))
            case yaml.SequenceNode():
                for item in value.value:
                    self.classes.pop(slot, None)
                    self.instance(slot, item, place.of(item))
            case yaml.MappingNode():
                given = {key.value: (key, inner) for key, inner in items(value)}
                if "class_path" in given:
                    self.instance(slot, given["class_path"][1], place)
                for name, (key, _) in given.items() if set(SPEC) & set(given) else ():
                    if name not in SPEC and re.fullmatch(r"[a-z]\w*", name):
                        advice = did_you_mean(name, SPEC, "Arguments of the class stand under init_args.")
                        self.mistake(f"Unknown key {name!r}{place.of(key)}.", advice)
                inside = given["init_args"][1] if "init_args" in given else None
                whole = value if not set(SPEC) & set(given) else None
                for key, inner in items(inside or whole):
                    self.argument(slot, str(key.value).split("."), inner, place.of(key))

    def argument(self, slot: str, keys: list[str], value: yaml.Node | None, place: Place) -> None:
        """An argument of the class that a slot has now."""
        name, *rest = keys
        name = name.rstrip("+")
        cls = self.classes.get(slot)
        known = catalog.arguments(cls) if cls is not None else None
        if known is None or name in SPEC:
            return
        if name not in known:
            self.mistake(f"Unknown key {name!r}{place}.", advice(name, known))
            return
        kind = known[name]
        if rest or kind.classes:
            if kind.classes:
                self.put(f"{slot}.{name}", rest, value, place)
            return
        if wrong := misfit(kind, value, null=kind.null or not catalog.is_ours(str(cls))):
            near = did_you_mean(wrong, kind.choices, otherwise="") if kind.choices else ""
            self.mistake(f"{slot}.{name} must be {kind}, not {wrong!r}{place}.", near)

    def section_file(self, slot: str, name: str, place: Place) -> None:
        """A file that stands for a class."""
        path = (place.file.parent if place.file is not None else Path()) / name
        if not path.is_file():
            self.mistake(f"No such file: {name}{place}", "")
            return
        read_yaml(path)
        self.instance(slot, root_of(path), Place(path))

    def class_name(self, path: str, place: Place) -> str | None:
        """A class, by its name or its path; what ``catalog`` knows it by."""
        package, _, name = path.rpartition(".")
        known = name in catalog.files()
        if package and not package.startswith(("transfusion_cli", "torch.", "lightning.", "pytorch_lightning.")):
            self.foreign = True
            if told := own_module(package, path, place):
                self.mistake(*told)
            return None
        if known:
            return name
        ours = [cls for cls, paths in catalog.files().items() if not cls.startswith("_")]
        otherwise = f"A class of your own goes by its module (my_module.{name}); for others see transfusion list"
        mistake = f"Unknown class {path!r}{place}."
        self.unsure.add(mistake)
        self.mistake(mistake, did_you_mean(name, ours, otherwise))
        return None

    def mistake(self, told: str, advice: str) -> None:
        """Note one."""
        self.told.setdefault(told, advice)


def advice(name: str, known: Mapping[str, Any]) -> str:
    """What leads on from a key that a class does not have."""
    if near := did_you_mean(name, known, otherwise=""):
        return near
    owners = catalog.owners(name)
    return f"It is a key of {', '.join(owners[:4])}." if owners else "See every key: transfusion fit --help"


def misfit(kind: catalog.Kind, value: yaml.Node | None, null: bool) -> str | None:
    """The value, where it is certainly not of a kind; the parser proper lets null pass everywhere."""
    if not kind.closed or value is None:
        return None
    if not isinstance(value, yaml.ScalarNode):
        return shown(value)
    text = str(value.value)
    if value.tag.endswith(":null") and not null:
        return "null"
    if text in kind.choices or not _WORD.fullmatch(text) or text.lower() in _NUMBERS:
        return None
    return text


def own_module(package: str, path: str, place: Place) -> tuple[str, str] | None:
    """What keeps a module of the user's own from being imported, as far as can be told without importing it."""
    top, *below = package.split(".")
    here = Path(top, *below)
    file = next((f for f in (here.with_suffix(".py"), here / "__init__.py") if f.is_file()), None)
    if file is None:
        if Path(top).exists() or Path(f"{top}.py").exists() or find_spec(top) is not None:
            return None
        told = f"Cannot import {path}{place}: No module named {top!r}"
        return told, "A module of your own must lie in the folder you run from."
    try:
        ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        return f"{file}{f', line {line},' if line else ''} is not valid Python: {getattr(error, 'msg', error)}", ""
    return None


KNOWN_KEYS = (
    "config",
    "print_config",
    "name",
    "root",
    "output",
    "seed_everything",
    "split",
    "test_after_fit",
    "ckpt_path",
)
"""The keys of no class that are suggested."""


@cache
def top_level_words() -> frozenset[str]:
    """The keys of no section: all flags that the source of the command line writes out, and the arguments of its verbs.

    Verbs with ``OwnFlags``, which are not meant here, are left out, and what completes them.
    """
    found = set(KNOWN_KEYS)
    files = (path for path in Path(__file__).parents[1].rglob("*.py") if path.stem != "completion")
    sources = (path.read_text(encoding="utf-8") for path in files)
    for text in (source for source in sources if "OwnFlags" not in source):
        found |= set(re.findall(r"[\"']--(\w+)", text))
    return frozenset(found | catalog.parameters("Trainer", "fit", "validate", "test", "predict"))
