"""The labels of one data set in the words of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

ONE_ANSWER = ("binary", "multiclass", "ordinal")
"""Kinds of target by which an image belongs to one of the classes."""

CLASSES = ("multiclass", "ordinal")
"""Those whose targets are numbers of classes."""


class LabelMap:
    """How the targets of other data become targets of a run.

    A label of theirs that is called like one of ours means it, unless the map says otherwise. Of several of theirs
    that mean one of ours it is enough that one is there; it is absent where all are known to be. Where ours are classes
    that one image cannot share, a class of theirs that means none of ours leaves the image without a known target; of
    two classes of which only the positive one is meant, everything else is negative.

    Args:
        given: ours by theirs; null for a label that is to mean none.
        theirs: kind of target and class names of the other data.
        ours: likewise of the run.
        source: what the other data are called, for messages.

    Raises:
        UserError: a name that is not there, nothing in common, or kinds that do not go together.
    """

    def __init__(
        self,
        given: Mapping[str, str | None],
        theirs: tuple[str, Sequence[str]],
        ours: tuple[str, Sequence[str]],
        source: str,
    ) -> None:
        (self.their_kind, self.theirs), (self.our_kind, self.ours) = theirs, ours
        for name, known, who in (
            *((name, self.theirs, source) for name in given),
            *((name, self.ours, "the run") for name in given.values() if name is not None),
        ):
            if name not in known:
                raise UserError(f"label_map: {who} has no label {name!r}\n{did_you_mean(str(name), known)}")
        alike = {name.casefold(): name for name in self.ours}
        named = {name: given[name] if name in given else alike.get(name.casefold()) for name in self.theirs}
        self.meant: dict[str, str] = {name: ours for name, ours in named.items() if ours is not None}
        if self.our_kind in CLASSES and self.their_kind not in ONE_ANSWER:
            raise UserError(
                f"The run tells classes apart, of which an image has one, and {source} has labels that go together\n"
                "A label map cannot make one of the other."
            )
        asked = self.ours[1:] if self.our_kind == "binary" else self.ours
        self.tested = [name for name in asked if name in self.meant.values()]
        self.left_out = [name for name in asked if name not in self.tested]
        self.unused = [name for name in self.theirs if name not in self.meant]
        if not self.tested:
            raise UserError(
                f"None of the run's labels ({', '.join(self.ours[:8])}) is known to {source}\n"
                f"It has: {', '.join(self.theirs[:20])}\nSay which is which: --label_map '{{Theirs: Ours}}'"
            )

    def __call__(self, targets: np.ndarray) -> np.ndarray:
        """Targets of theirs as ours.

        Args:
            targets: float32 (N, L), NaN unknown, or int64 (N,), -1 unknown.
        """
        excludes = self.our_kind in CLASSES or (self.our_kind == "binary" and self.ours[0] in self.meant.values())
        if excludes and self.their_kind in ONE_ANSWER:
            number = [self.ours.index(self.meant[name]) if name in self.meant else -1 for name in self.theirs]
            codes = self._codes(targets)
            found = np.where(codes >= 0, np.array(number)[codes], -1)
            if self.our_kind in CLASSES:
                return found.astype(np.int64)
            return np.asarray(np.where(found < 0, np.nan, found)[:, None], dtype=np.float32)
        has = self._has(targets)
        asked = self.ours[1:] if self.our_kind == "binary" else self.ours
        columns = np.full((len(targets), len(asked)), np.nan, dtype=np.float32)
        for at, name in enumerate(asked):
            own = [place for place, theirs in enumerate(self.theirs) if self.meant.get(theirs) == name]
            if own:
                any_there, all_absent = (has[:, own] == 1).any(axis=1), (has[:, own] == 0).all(axis=1)
                columns[any_there, at], columns[all_absent, at] = 1, 0
        return columns

    def _codes(self, targets: np.ndarray) -> np.ndarray:
        """The class of each image of theirs, -1 where it is not known: int64 (N,)."""
        if targets.ndim == 1:
            return targets.astype(np.int64)
        column = targets[:, 0]
        return np.where(np.isin(column, (0, 1)), np.nan_to_num(column), -1).astype(np.int64)

    def _has(self, targets: np.ndarray) -> np.ndarray:
        """Whether each image has each label of theirs, 0 or 1, NaN where it is not known: float32 (N, L)."""
        if self.their_kind not in ONE_ANSWER:
            return np.asarray(np.where(np.isin(targets, (0, 1)), targets, np.nan), dtype=np.float32)
        codes = self._codes(targets)
        has = np.asarray(codes[:, None] == np.arange(len(self.theirs)), dtype=np.float32)
        has[codes < 0] = np.nan
        return has

    @property
    def described(self) -> dict[str, object]:
        """What means what, as plain data."""
        return {"meant": self.meant, "left_out": self.left_out, "unused": self.unused}
