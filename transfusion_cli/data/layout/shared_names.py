"""Names of images that look as if several were of one patient."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

PATTERNS = (
    r"([^/]*\d[^/_.-]*)[_-][^/_-]*$",  # patient001_frame12.png, 17-b.png
    r"([^/]*\d)[a-zA-Z]{1,2}\.\w+$",  # Image_01L.jpg, 20OD.png
)
"""Expressions that find what may be the patient in a path, the plainest first."""


def patient_like(paths: Sequence[str]) -> tuple[str, str]:
    """An expression by which most images share what it finds with others, and an example of that; empty for none."""
    names = [str(PurePosixPath(path.replace("\\", "/"))) for path in paths]
    for pattern in PATTERNS:
        found = [match[1] for name in names if (match := re.search(pattern, name))]
        counts = Counter(found)
        shared = sum(count for count in counts.values() if count > 1)
        if len(counts) > 1 and shared > len(names) / 2 and max(counts.values()) < len(names):
            return pattern, counts.most_common(1)[0][0]
    return "", ""
