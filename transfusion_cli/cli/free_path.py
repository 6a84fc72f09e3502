"""Names that nothing has yet."""

from itertools import count
from pathlib import Path


def free_path(path: Path) -> Path:
    """The path itself, or the first of ``name_1``, ``name_2``, ... that does not exist."""
    if not path.exists():
        return path
    return next(
        other for number in count(1) if not (other := path.with_name(f"{path.stem}_{number}{path.suffix}")).exists()
    )
