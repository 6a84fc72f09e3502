"""jsonargparse's messages, retold in two or three lines."""

import re
import shlex
from collections.abc import Iterable

from transfusion_cli.cli.config.sources import Sources
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.trust import refusal

LONGEST = 300
"""Characters of one line."""

JARGON = re.compile(r"Union subtypes|^Subtypes:|^Errors:|^Given value type:|NoneType|^Problem with given class_path")
"""Lines of jsonargparse's that say nothing to a user."""

NO_CLASS = "Importing 'transfusion_cli.data.base.MedicalDataModule'"
"""What jsonargparse tries where there are keys of ``data``, and no class is named that takes them."""

SCALARS = ("'int'", "'float'", "'bool'", "'str'")


def explain(message: str, sources: Sources, classes: dict[str, set[str]], keys: Iterable[str]) -> str:
    """What was wrong, where, and what to type next.

    Args:
        message: what jsonargparse says; the innermost problem is the user's, what encloses it repeats its place.
        sources: the command's arguments and config files.
        classes: the classes that can be named, each with the keys it takes.
        keys: the keys of the parser itself, with dots.
    """
    if NO_CLASS in message:
        return missing("data", "")
    if told := refusal(message):
        return told
    inner = message.rpartition("Problem with given class_path")[2]
    value = message.rpartition('Parser key "')[2]
    if found := re.search(r"[Oo]ption '([^']+)'|unrecognized arguments: (\S+)", inner):
        return unknown_key(found[1] or found[2], sources, classes, keys)
    if found := re.search(r"File does not exist: '([^']+)'|path but (\S+\.ya?ml) either not", message):
        name = found[1] or found[2]
        return f"No such file: {name}{sources.locate(name)}"
    if found := re.search(r"arguments are required: (.+)", message):
        return missing(found[1], message)
    if found := re.search(r"'([^']+)':\s+(No module named .+|.*[Ii]mport.*)", inner):
        place = sources.locate(found[1])
        return f"Cannot import {found[1]}{place}: {found[2]}\nA module of your own must lie in the folder you run from."
    if found := re.search(r"argument --(\S+): invalid seed value: '(.*)'", message):
        place = sources.locate(found[1], found[2])
        return f"{found[1]} must be a whole number from 0 to {2**32 - 1:,}, or true, not {found[2]!r}{place}."
    scalar = any(name in kind for kind in re.findall(r"Subtypes: \[(.*)\]", value) for name in SCALARS)
    if not scalar and (found := re.search(r"Expected a dot import path string: (\S+)", message)):
        return unknown_class(found[1], value.partition('"')[0], sources, classes)
    return wrong_value(value, sources) or first_lines(message)


def unknown_key(key: str, sources: Sources, classes: dict[str, set[str]], keys: Iterable[str]) -> str:
    """A key that is not accepted where it stands."""
    if not key.startswith("-") and key in sources.args:
        told = f"There is no place for {key!r} on the command line."
        if key.endswith((".yaml", ".yml")):
            return f"{told}\nA value follows its flag: --config {shlex.quote(key)}"
        hint = f"A value follows its flag. A run stands right behind its verb: transfusion test {shlex.quote(key)}"
        return f"{told}\n{hint}"
    words = key.lstrip("-").partition("=")[0].split(".")
    sections = {key.split(".")[0] for key in keys}
    known = {word for key in keys for word in key.split(".")}.union(*classes.values())
    wrong = next((word for word in words if word not in known), words[-1])
    owners = sorted(name for name, accepted in classes.items() if wrong in accepted)
    top_level = key.startswith("-") and wrong == words[0]
    if owners and not (top_level and did_you_mean(wrong, sections, otherwise="")):
        advice = f"It is a key of {', '.join(owners[:4])}."
    else:
        advice = did_you_mean(wrong, sections if top_level else known, "See every key: transfusion fit --help")
    return f"Unknown key {wrong!r}{sources.locate(wrong)}.\n{advice}"


def unknown_class(name: str, key: str, sources: Sources, classes: dict[str, set[str]]) -> str:
    """A class that was not found under its short name."""
    name = name.strip("'\"{}[],")
    if name in classes:
        return f"{key or 'The key'} cannot be {name}{sources.locate(name)}: it is a class of another kind."
    otherwise = f"A class of your own goes by its module (my_module.{name}); for others see transfusion list"
    return f"Unknown class {name!r}{sources.locate(name)}.\n{did_you_mean(name, classes, otherwise)}"


def missing(names: str, message: str) -> str:
    """A section of the config, or an argument of a class in it, that has no default."""
    if "\n" in message:
        return f"A class in the config needs a value for: {names}\nIt goes beside class_path, under init_args."
    sections = ", ".join(name.partition(".")[2] or name for name in names.split(", "))
    return f"The config says nothing of: {sections}\nStart from one that works: --config configs/demo.yaml"


def wrong_value(problem: str, sources: Sources) -> str | None:
    """A value of the wrong type, or none of the choices; None where the problem is another."""
    value = re.search(r"(?:Got value|Given value): (.*?)(?:\. Got value.*)?$", problem, re.MULTILINE)
    types = re.search(r"Subtypes: \[(.*)\]", problem) or re.search(r"Expected an? (.*?)\. Got value", problem)
    if not (value and types):
        return None
    key, given = problem.partition('"')[0], value[1].strip("'\"")[:LONGEST]
    causes = re.findall(r"^\s*- (?!Expected an? |Does not validate)(.+)$", problem, re.MULTILINE)
    if re.search(r"<class '\w+\.|Callable", types[1]) and causes:
        cause = causes[-1].strip()[:LONGEST]
        return f"{key} cannot be {given}{sources.locate(given)}:\n{cause}"
    told = f"{key} must be {plain_types(types[1])}, not {given!r}{sources.locate(key.split('.')[-1], given)}."
    choices = re.findall(r"'(\w+)'", "".join(re.findall(r"Literal\[(.*?)\]", types[1])))
    near = did_you_mean(given, choices, otherwise="") if choices else ""
    return f"{told}\n{near}" if near else told


def plain_types(types: str) -> str:
    """``<class 'int'>, <class 'NoneType'>`` as ``int or null``."""
    types = re.sub(r"(?:typing\.)?Literal\[(.*?)\]", lambda found: found[1].replace("'", ""), types)
    types = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", types).replace("NoneType", "null")
    types = re.sub(r"\b(?:[a-z_]\w*\.)+(\w+)", r"\1", types)
    types = re.sub(r"(?:list|Iterable|Sequence)\[(.*?\]?)\](?=,|$)", r"a list of \1", types)
    types = re.sub(r"[dD]ict\[[^\]]*\]", "a section of keys", types).replace(" | ", " or ")
    return " or ".join(types.rsplit(", ", 1))


def first_lines(message: str) -> str:
    """The first three lines that say something to people who do not know the parser."""
    message = re.sub(r"(?:\. )?Got value: (?:Namespace|NestedArg)\(.*", ".", message)
    lines = (re.sub(r'Parser key "([^"]*)":?', r"\1:", line).strip(" -") for line in message.splitlines())
    told = [
        re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", line)[:LONGEST]
        for line in lines
        if line and not JARGON.search(line)
    ]
    return "\n".join(list(dict.fromkeys(told))[:3]) or "The config cannot be read."
