"""PatchCamelyon: six HDF5 files, those of the test still packed as downloaded, and the meta files."""

import gzip
from pathlib import Path

import numpy as np

FLAGS = "--data.unpack unpacked"
STEM = "camelyonpatch_level_2_split_{}_{}"
SLIDES = {
    "train": ("train_tumor_001", "train_normal_001", "train_tumor_002", "train_normal_002"),
    "valid": ("train_tumor_090", "train_normal_090"),
    "test": ("test_001", "test_002"),
}


def patches(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 96, 96, 3) and labels (n,): eight patches a slide; those with tumour are darker in the middle."""
    rng = np.random.default_rng(sum(map(ord, part)))
    labels = rng.permutation(np.arange(8 * len(SLIDES[part])) % 2)
    images = rng.integers(120, 255, (len(labels), 96, 96, 3), dtype=np.uint8)
    images[labels == 1, 32:64, 32:64] //= 2
    return images, labels.astype(np.uint8)


def write_part(folder: Path, part: str, images: np.ndarray, labels: np.ndarray, packed: bool = False) -> None:
    """Write x and y of a split, packed or not."""
    import h5py

    for kind, values in (("x", images), ("y", labels.reshape(-1, 1, 1, 1))):
        path = folder / f"{STEM.format(part, kind)}.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset(kind, data=values)
        if packed:
            (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
            path.unlink()


def write_meta(folder: Path, part: str, labels: np.ndarray) -> None:
    """Write the meta file; tumour at the rim alone does not make the label."""
    slides = SLIDES[part]
    rows = [",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi"]
    for i, label in enumerate(labels):
        rows.append(f"{i},{96 * i},{10_000 - i},{bool(label) or i % 3 == 0},{bool(label)},camelyon16_{slides[i // 8]}")
    (folder / f"{STEM.format(part, 'meta')}.csv").write_text("\n".join(rows) + "\n")


def build(root: Path) -> Path:
    """Write ``pcam/`` with 32, 16 and 16 patches of four, two and two slides."""
    folder = root / "pcam"
    folder.mkdir(parents=True)
    for part in SLIDES:
        images, labels = patches(part)
        write_part(folder, part, images, labels, packed=part == "test")
        write_meta(folder, part, labels)
    return root
