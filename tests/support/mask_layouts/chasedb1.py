"""CHASE_DB1: one folder, masks of one bit by two observers, no field of view."""

from pathlib import Path

from support.retina import draw_vessels, save_mask, save_retina


def build(root: Path, children: int = 14) -> Path:
    """Write both eyes of each child."""
    for child in range(1, children + 1):
        for eye, side in enumerate("LR"):
            vessels = save_retina(root / f"CHASEDB1/Image_{child:02d}{side}.jpg", 2 * child + eye)
            save_mask(root / f"CHASEDB1/Image_{child:02d}{side}_1stHO.png", vessels, one_bit=True)
            second = vessels | draw_vessels(1000 + child)
            save_mask(root / f"CHASEDB1/Image_{child:02d}{side}_2ndHO.png", second, one_bit=True)
    return root
