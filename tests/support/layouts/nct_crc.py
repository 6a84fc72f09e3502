"""NCT-CRC-HE as unzipped: normalised and other training tiles side by side, the test set in a folder of its name."""

from pathlib import Path

from support.images import save_picture

CLASSES = ["ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM"]


def build(root: Path) -> Path:
    """Write tiles of nine classes: six for training, two not normalised, two for the test."""
    for label, name in enumerate(CLASSES):
        for tile in range(10):
            code = "".join(chr(ord("A") + (7 * label + 3 * tile + k * k) % 26) for k in range(6)) + f"{tile:02d}"
            if tile < 6:
                path = f"NCT-CRC-HE-100K/{name}/{name}-{code}.tif"
            elif tile < 8:
                path = f"NCT-CRC-HE-100K-NONORM/{name}/{name}-{code}.tif"
            else:
                path = f"CRC-VAL-HE-7K/CRC-VAL-HE-7K/{name}/{name}-TCGA-{code}.tif"
            save_picture(root / path, 10 * label + tile, (28, 28))
    save_picture(root / "NCT-CRC-HE-100K/preview/montage.png", 1, (28, 28))
    (root / "NCT-CRC-HE-100K/ADI/.DS_Store").write_bytes(b"\0")
    return root
