"""Flags, looked at before they are parsed."""


def value_of(flags: list[str], *names: str) -> str | None:
    """The last value given to a flag, as ``--flag value`` or ``--flag=value``."""
    found = None
    for position, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        if name in names:
            found = value if equals else next(iter(flags[position + 1 :]), None)
    return found
