"""STARE: gzipped PPMs with numbers out of sequence, two observers, some masks not quite black and white."""

import gzip
import io
from pathlib import Path

import numpy as np
from PIL import Image
from support.retina import draw_vessels, save_retina

NUMBERS = (1, 2, 3, 4, 5, 44, 77, 81, 82, 139, 162, 163, 235, 236, 239, 240, 255, 291, 319, 324)


def build(root: Path) -> Path:
    """Write ``stare-images``, ``labels-ah`` and ``labels-vk``, and one image more that nobody drew vessels in."""
    for number in (*NUMBERS, 400):
        vessels = save_retina(root / "image.ppm", number)
        _pack(root / f"stare-images/im{number:04d}.ppm.gz", (root / "image.ppm").read_bytes())
        for observer, drawn in (("ah", vessels), ("vk", vessels | draw_vessels(number + 1000))):
            if number != 400:
                grey = np.where(drawn, 255 - number % 3, number % 2).astype(np.uint8)
                stream = io.BytesIO()
                Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(stream, "PPM")
                _pack(root / f"labels-{observer}/im{number:04d}.{observer}.ppm.gz", stream.getvalue())
    (root / "image.ppm").unlink()
    return root


def _pack(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content))
