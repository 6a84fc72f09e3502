"""Files that are written again: ``config.yaml``, ``config_1.yaml``, ``config_2.yaml`` and so on."""

import os
from itertools import chain, count
from pathlib import Path


def versions(path: Path) -> list[Path]:
    """Those that there are of ``name``, ``name_1``, ``name_2``, ..., the newest first."""
    numbered = {
        int(number): other
        for other in path.parent.glob(f"{path.stem}_*{path.suffix}")
        if (number := other.stem.removeprefix(f"{path.stem}_")).isdigit()
    }
    return [*(numbered[number] for number in sorted(numbered, reverse=True)), *([path] if path.is_file() else [])]


def newest(path: Path) -> Path:
    """The newest of ``versions``, or the path itself."""
    return next(iter(versions(path)), path)


def free_path(path: Path) -> Path:
    """The path itself, or the first of ``name_1``, ``name_2``, ... that nothing has yet."""
    others = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in count(1))
    return next(name for name in chain([path], others) if not os.path.lexists(name))  # a link to nowhere is one too
