"""What decisions were fitted on, so that nobody tests them on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

DIGEST = 6
"""Bytes that stand for a name: a million names have no two alike but once in 500 times."""


@dataclass(frozen=True)
class FittedOn:
    """Which cases of which run, and by which checkpoint they were predicted.

    Args:
        run: its folder's name and version.
        split: of the run, ``val``.
        split_sha256: hash of the run's whole split.
        checkpoint: name of the file.
        checkpoint_sha256: its hash.
        epoch: of the checkpoint, counted from 1, where it says so.
        samples: short hashes of the ids of the cases.
        patients: of their patients, as far as known.
        mirror: whether predictions were means over mirror images: decisions are for one kind.
    """

    run: str
    split: str
    split_sha256: str
    checkpoint: str
    checkpoint_sha256: str
    epoch: int | None
    samples: frozenset[str]
    patients: frozenset[str]
    mirror: bool = False

    def shares(self, ids: np.ndarray, patients: np.ndarray | None) -> np.ndarray:
        """Which cases of another table it was fitted on, or whose patients: bool (N,).

        Args:
            ids: of the cases (N,).
            patients: of each (N,), or None where none are known.
        """
        alike = np.array([one in self.samples for one in hashes(ids)], dtype=bool)
        if patients is None:
            return alike
        whose = np.array([one in self.patients for one in hashes(patients)], dtype=bool)
        return np.asarray(alike | (whose & (patients != "")))

    def as_json(self) -> dict[str, Any]:
        """Plain data; the hashes as one text, as there may be thousands."""
        return {
            **{name: getattr(self, name) for name in TEXTS},
            "epoch": self.epoch,
            "mirror": self.mirror,
            "n": len(self.samples),
            "n_patients": len(self.patients),
            "samples": " ".join(sorted(self.samples)),
            "patients": " ".join(sorted(self.patients)),
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Self:
        """From plain data.

        Raises:
            ValueError: samples are missing, without which nothing could be guarded.
        """
        samples, patients = (frozenset(str(content[name]).split()) for name in ("samples", "patients"))
        if not samples or len(samples) != content["n"] or len(patients) != content["n_patients"]:
            raise ValueError("it does not say which samples it was fitted on")
        mirror = content.get("mirror", False)
        if not isinstance(mirror, bool):
            raise ValueError(f"mirror {mirror}")
        texts = {name: str(content[name]) for name in TEXTS}
        return cls(**texts, epoch=content.get("epoch"), samples=samples, patients=patients, mirror=mirror)


TEXTS = ("run", "split", "split_sha256", "checkpoint", "checkpoint_sha256")


def hashes(names: Iterable[Any]) -> list[str]:
    """A short hash of each name: the file may go where the names may not."""
    return [
        hashlib.blake2b(str(name).encode(errors="surrogateescape"), digest_size=DIGEST).hexdigest() for name in names
    ]
