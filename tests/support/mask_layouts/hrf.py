"""HRF in both of its layouts: all in one, or the folders of its zips."""

from pathlib import Path

from support.retina import draw_field, save_mask, save_retina

GROUPS = {"h": "healthy", "dr": "diabetic_retinopathy", "g": "glaucoma"}


def build(root: Path, zips: bool = False) -> Path:
    """Write 15 images of each group.

    Args:
        root: Folder to write to.
        zips: As the zips unpack; else ``images``, ``manual1`` and ``mask``.
    """
    for place, (short, group) in enumerate(GROUPS.items()):
        images, manual, fields = (
            (group, f"{group}_manualsegm", f"{group}_fovmask") if zips else ("images", "manual1", "mask")
        )
        for number in range(1, 16):
            name = f"{number:02d}_{short}"
            vessels = save_retina(root / images / f"{name}.{'JPG' if short == 'dr' else 'jpg'}", 100 * place + number)
            save_mask(root / manual / f"{name}.tif", vessels)
            save_mask(root / fields / f"{name}_mask.tif", draw_field())
    return root
