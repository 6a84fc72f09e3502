"""Files that a run writes again: ``config.yaml``, ``config_1.yaml``, ``config_2.yaml`` and so on."""

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
