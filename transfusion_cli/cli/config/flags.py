"""Flags, looked at before they are parsed."""

INPUT = "--input"
"""Of ``predict``: images without labels."""

LABEL_MAP = "--label_map"
"""Of ``test``: the labels of other data in the words of the run."""


def value_of(flags: list[str], *names: str) -> str | None:
    """The last value given to a flag, as ``--flag value`` or ``--flag=value``."""
    found = None
    for position, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        if name in names:
            found = value if equals else next(iter(flags[position + 1 :]), None)
    return found


def without(flags: list[str], name: str) -> list[str]:
    """Flags without one of them and its value."""
    rest: list[str] = []
    words = iter(flags)
    for word in words:
        flag, equals, _ = word.partition("=")
        if flag != name:
            rest.append(word)
        elif not equals:
            next(words, None)
    return rest
