"""Tiny MedMNIST files in the real layout."""

from pathlib import Path

import numpy as np

from transfusion_cli.datasets.families.medmnist_facts import FACTS


def build_medmnist(
    root: Path,
    flag: str = "pneumoniamnist",
    counts: tuple[int, int, int] = (24, 12, 12),
    size: int = 28,
    compressed: bool = True,
) -> Path:
    """Write ``<flag>[_<size>].npz`` with every class in every split; brightness tells the class.

    Args:
        root: Folder.
        flag: Name of the set.
        counts: Training, validation and test images.
        size: Side.
        compressed: Deflate the arrays, as some of the real files do, or store them plainly.
    """
    facts, rng, arrays = FACTS[flag], np.random.default_rng(0), {}
    classes = 2 if facts.target in ("binary", "multilabel") else len(facts.class_names)
    width = len(facts.class_names) if facts.target == "multilabel" else 1
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        labels = (np.arange(count)[:, None] + np.arange(width)) % classes
        shape = (count, *[size] * facts.dims) + ((3,) if facts.channels == 3 else ())
        bright = labels[:, 0].reshape(-1, *[1] * (len(shape) - 1)) * (120 // classes)
        arrays[f"{split}_images"] = (rng.integers(0, 120, shape) + bright).astype(np.uint8)
        arrays[f"{split}_labels"] = labels.astype(np.uint8)
    root.mkdir(parents=True, exist_ok=True)
    path = root / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz")
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path
