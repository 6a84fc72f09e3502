"""Nodules of LIDC-IDRI: whose annotations belong together, how malignant they are, and what is inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np

from transfusion_cli.datasets.families.lidc_xml import Annotation, Outline

SAME_SLICE = 0.1
"""mm within which an outline and a slice are at one place; slices are 0.45 mm apart at least."""

READERS = 4
"""Of every scan."""

FACTOR, LEAST = 0.9, 0.1
"""By how much the distance shrinks at a time within which annotations are one nodule, and down to how many mm."""

Rule = Literal["median", "mean", "mean_wide"]
"""What the ratings of a nodule, 1 to 5, make of it.

* ``median``: malignant above 3, benign below, left out at 3.
* ``mean``: likewise.
* ``mean_wide``: malignant from a mean of 3.5, benign to 2.5, left out between.
"""


@dataclass(frozen=True, eq=False)
class Nodule:
    """What several readers marked at one place.

    Args:
        annotations: of them.
        spacing: mm from pixel to pixel in x and y, and from slice to slice (3,).
    """

    annotations: tuple[Annotation, ...]
    spacing: np.ndarray

    @property
    def readers(self) -> int:
        """How many readers marked it; an annotation more than they are is one reader's second."""
        return len({annotation.reader for annotation in self.annotations})

    @cached_property
    def centre(self) -> np.ndarray:
        """Mean of the middles that the readers' outlines span: x and y in pixels, z in mm."""
        ends = [(p.min(axis=0), p.max(axis=0)) for p in (points(a, np.ones(3)) for a in self.annotations)]
        return np.asarray(np.array([(low + high) / 2 for low, high in ends]).mean(axis=0))

    @property
    def diameter(self) -> float:
        """Greatest distance of two points of an outline in mm, mean over annotations."""
        return float(np.mean([max(_extent(o, self.spacing) for o in a.outlines) for a in self.annotations]))

    def malignant(self, rule: Rule) -> bool | None:
        """What the readers' ratings say; None where they leave it open."""
        ratings = [annotation.malignancy for annotation in self.annotations]
        rating = float(np.median(ratings) if rule == "median" else np.mean(ratings))
        if rule == "mean_wide":
            return True if rating >= 3.5 else False if rating <= 2.5 else None
        return None if rating == 3 else rating > 3

    def agreement(self, z: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Share of the readers who include each voxel, float32 (len(z), *size).

        Args:
            z: places of slices in mm, in any order.
            corner: first row and column.
            size: rows and columns.
        """
        votes = np.zeros((self.readers, len(z), *size), dtype=bool)
        order = {reader: i for i, reader in enumerate(sorted({a.reader for a in self.annotations}))}
        for annotation in self.annotations:
            votes[order[annotation.reader]] |= _inside(annotation, z, corner, size)
        return np.asarray(votes.mean(axis=0, dtype=np.float32))


def points(annotation: Annotation, scale: np.ndarray) -> np.ndarray:
    """All points of an annotation, x, y, z, times ``scale`` (but z, which is in mm): float64 (n, 3)."""
    parts = [np.column_stack([o.points * scale[:2], np.full(len(o.points), o.z)]) for o in annotation.outlines]
    return np.concatenate(parts)


def cluster(annotations: Sequence[Annotation], spacing: np.ndarray, thickness: float) -> list[Nodule]:
    """Put together what belongs to one nodule, as pylidc does by default (Hancock & Magnan 2016).

    Annotations are one nodule where a chain of them leads from one to the other, the nearest points of each two at most
    the thickness of a slice apart. Where more come together than there are readers, that distance shrinks for the whole
    scan, a tenth at a time, down to 0.1 mm.

    Args:
        annotations: of one scan.
        spacing: mm from pixel to pixel in x and y, and from slice to slice (3,).
        thickness: of a slice, mm.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if not annotations:
        return []
    places = [points(annotation, spacing) for annotation in annotations]
    trees = [cKDTree(place) for place in places]
    pairs = list(combinations(range(len(annotations)), 2))
    apart = np.array([trees[a].query(places[b])[0].min() for a, b in pairs])
    within = thickness
    while True:
        near = [pair for pair, distance in zip(pairs, apart, strict=True) if distance <= within]
        rows, columns = np.array(near, dtype=int).reshape(-1, 2).T
        graph = coo_matrix((np.ones(len(near)), (rows, columns)), shape=(len(annotations),) * 2)
        _, groups = connected_components(graph, directed=False)
        within *= FACTOR
        if np.bincount(groups).max() <= READERS or within < LEAST:
            break
    chosen = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    return [Nodule(tuple(annotations[i] for i in one.tolist()), spacing) for one in chosen]


def _extent(outline: Outline, spacing: np.ndarray) -> float:
    from scipy.spatial.distance import pdist

    return 0.0 if outline.is_hole or len(outline.points) < 2 else float(pdist(outline.points * spacing[:2]).max())


def _inside(annotation: Annotation, z: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Voxels that a reader includes, bool (len(z), *size): what the outlines enclose, less what those of holes do."""
    votes = {kind: np.zeros((len(z), *size), dtype=bool) for kind in (False, True)}
    for outline in annotation.outlines:
        for place in np.flatnonzero(np.abs(z - outline.z) < SAME_SLICE):
            votes[outline.is_hole][place] |= enclosed(outline.points, corner, size)
    return votes[False] & ~votes[True]


def enclosed(outline: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Pixels within an outline, bool (*size), the outline's own not among them.

    LIDC draws through the first pixels outside. A hole is outlined in the same way, so that the pixels of its outline
    are nodule.

    Args:
        outline: x, y of neighbouring pixels (n, 2).
        corner: row and column that the result begins at.
        size: its rows and columns.
    """
    import cv2

    filled, line = np.zeros((2, *size), np.uint8)
    ring = np.ascontiguousarray(outline - np.array(corner[::-1]), dtype=np.int32)
    cv2.fillPoly(filled, [ring], 1)
    cv2.polylines(line, [ring], True, 1)
    return np.asarray((filled > 0) & (line == 0))
