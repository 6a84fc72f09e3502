"""Camelyon17 of WILDS, with the unlabelled patches beside it, in the same layout."""

from pathlib import Path

import numpy as np
from PIL import Image

NODES = {
    0: ((4, 4), (10, 0)),
    1: ((20, 4), (21, 3)),
    2: ((40, 2), (42, 3)),
    3: ((60, 3), (75, 4)),
    4: ((80, 1), (99, 4)),
}
"""Patient and lymph node of the two slides of each hospital."""

HEADER = ",patient,node,x_coord,y_coord,tumor,slide,center,split"


def build(root: Path) -> Path:
    """Write ``camelyon17_v1.0``: ten patches a slide, a tenth of all, in every hospital, marked as validation."""
    folder = root / "camelyon17_v1.0"
    rows = [HEADER]
    for hospital, nodes in NODES.items():
        for k, (patient, node) in enumerate(nodes):
            for i in range(10):
                x, y, tumour = 3328 + 32 * i, 21792 - 32 * i, (i + k) % 2
                line = f"{patient:03d},{node},{x},{y},{tumour},{10 * hospital + k},{hospital},{int(i == 3 + k)}"
                rows.append(f"{len(rows) - 1},{line}")
                _patch(folder, f"patient_{patient:03d}_node_{node}", x, y, tumour)
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    (folder / "RELEASE_v1.0.txt").touch()
    other = root / "camelyon17_unlabeled_v1.0"
    _patch(other, "patient_000_node_0", 32, 32, 0)
    (other / "metadata.csv").write_text(f"{HEADER}\n0,000,0,32,32,0,0,0,10\n")
    return root


def _patch(folder: Path, name: str, x: int, y: int, tumour: int) -> None:
    """An RGBA picture, as WILDS' are; darker in the middle with tumour."""
    pixels = np.random.default_rng([x, y]).integers(120, 255, (96, 96, 4), dtype=np.uint8)
    pixels[32:64, 32:64, :3] //= 1 + tumour
    pixels[..., 3] = 255
    path = folder / "patches" / name / f"patch_{name}_x_{x}_y_{y}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)
