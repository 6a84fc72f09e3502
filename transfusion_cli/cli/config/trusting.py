"""``--trust MODULE``, and what a person trusts by typing it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from transfusion_cli.cli.config.chain import chain, sections_of
from transfusion_cli.cli.config.shipped import find_config
from transfusion_cli.cli.config.sources import leaves
from transfusion_cli.errors import UserError
from transfusion_cli.trust import imports_from, packages_named, trusted

FLAG = "--trust"


@contextmanager
def trusting(args: list[str]) -> Iterator[list[str]]:
    """Let configurations import what comes with the program, what the user typed, and what they say to trust.

    A checkpoint and the ``config.yaml`` of its run may come from anybody: what they name is not enough to be imported.

    Args:
        args: of the command.

    Yields:
        The arguments without those that say what to trust.
    """
    rest, modules = without_trust(args)
    chosen = {*modules, *trusted(), *packages_named(typed(rest))}
    if chosen and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a console script does not look for the user's own modules where it runs
    with imports_from(chosen):
        yield rest


def without_trust(args: list[str]) -> tuple[list[str], list[str]]:
    """Arguments without every ``--trust MODULE``, and the modules.

    Raises:
        UserError: one names none.
    """
    rest, modules = [], []
    words = iter(args)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag != FLAG:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value or value.startswith("-"):
            raise UserError(f"{FLAG} takes the name of a module.\nFor example: {FLAG} my_module")
        modules += value.split(",")
    return rest, modules


def typed(args: list[str]) -> list[str]:
    """What the user wrote: the arguments, and all texts in the config files that they name."""
    texts = list(args)
    for before, word in pairwise(args):
        if before in ("--config", "-c"):
            texts += config_texts(word)
    texts += [text for word in args if word.startswith("--config=") for text in config_texts(word.partition("=")[2])]
    return texts


def config_texts(value: str) -> list[str]:
    """All texts in a config file, in what it extends and in the files that stand for its sections."""
    if value.lstrip().startswith("{"):
        return []
    texts: list[str] = []
    for path in chain(find_config(value)):
        found = leaves(sections_of(path))
        sections = [path.parent / text for text in found if text.endswith((".yaml", ".yml"))]
        texts += found + [text for file in sections if file.is_file() for text in leaves(sections_of(file))]
    return texts
