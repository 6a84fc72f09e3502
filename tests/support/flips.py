"""Files with a bit that is not as it was written."""

import random
from collections.abc import Iterator
from pathlib import Path


def flipped_bits(path: Path, times: int) -> Iterator[str]:
    """Let a file have one wrong bit after the other, at places drawn by chance; gives where."""
    content = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), times):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        yield f"bit {bit} of {len(content)} bytes"
