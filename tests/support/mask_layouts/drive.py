"""DRIVE as the older copies have it: both observers, the second as GIFs with a palette of two odd greys."""

from pathlib import Path

import numpy as np
from PIL import Image
from support.retina import draw_field, draw_vessels, save_mask, save_retina


def build(root: Path, challenge: bool = False) -> Path:
    """Write ``training`` and ``test``, 20 images each.

    Args:
        root: Folder to write to.
        challenge: As the challenge has it, without masks of the test images.
    """
    for part, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for number in numbers:
            folder = root / "DRIVE" / part
            vessels = save_retina(folder / f"images/{number:02d}_{part}.tif", number)
            save_mask(folder / f"mask/{number:02d}_{part}_mask.gif", draw_field())
            if part == "training" or not challenge:
                save_mask(folder / f"1st_manual/{number:02d}_manual1.gif", vessels)
            if part == "test" and not challenge:
                save_palette(folder / f"2nd_manual/{number:02d}_manual2.gif", vessels | draw_vessels(number + 100))
    (root / "DRIVE/training/images/.DS_Store").write_bytes(b"\0")
    return root


def save_palette(path: Path, mask: np.ndarray) -> None:
    """Write a GIF in the two colours that DRIVE's have: 4, 2, 4 and 252, 254, 252."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask.astype(np.uint8), mode="P")
    image.putpalette([4, 2, 4, 252, 254, 252])
    image.save(path)
