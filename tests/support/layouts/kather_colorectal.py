"""Kather's tiles as unzipped: tile names with parts and copies of slides, a class on three slides, and large images."""

from pathlib import Path

from support.images import save_picture

FOLDERS = ["01_TUMOR", "02_STROMA", "03_COMPLEX", "04_LYMPHO", "05_DEBRIS", "06_MUCOSA", "07_ADIPOSE", "08_EMPTY"]
PARTS = ("", "_022", "b", "c", "_copy", "_002c")
"""What follows the number of the slide."""

RARE = {"07_ADIPOSE": (1, 3, 5, 7, 9), "08_EMPTY": (2, 6, 10)}
"""Slides of the classes that are not on all ten."""


def build(root: Path) -> Path:
    """Write one tile of each class for each slide that has it, two of the rare classes."""
    tiles = root / "Kather_texture_2016_image_tiles_5000"
    for label, folder in enumerate(FOLDERS):
        for slide in RARE.get(folder, range(1, 11)):
            for tile in range(2 if folder in RARE else 1):
                seed = 100 * label + 10 * slide + tile
                source = f"CRC-Prim-HE-{slide:02d}{PARTS[(slide + label) % len(PARTS)]}"
                save_picture(
                    tiles / folder / f"{seed + 0x1A00:X}_{source}.tif_Row_{150 * tile + 1}_Col_151.tif", seed, (30, 30)
                )
    (tiles / "01_TUMOR" / ".DS_Store").write_bytes(b"\0")
    (tiles / "08_EMPTY" / "Thumbs.db").write_bytes(b"\0")
    save_picture(root / "Kather_texture_2016_larger_images_10" / "CRC-Prim-HE-09_APPLICATION.tif", 1, (60, 60))
    return root
