"""The user's own images and masks in two folders."""

from pathlib import Path

from support.retina import save_mask, save_retina


def build(root: Path, patients: int = 10, images: int = 2, split: str = "") -> Path:
    """Write ``images/p00_0.jpg`` and ``masks/p00_0.png``.

    Args:
        root: Folder to write to.
        patients: Number of patients.
        images: Images of each.
        split: Folder within both.
    """
    for patient in range(patients):
        for image in range(images):
            name = f"p{patient:02d}_{image}"
            vessels = save_retina(root / "images" / split / f"{name}.jpg", 10 * patient + image)
            save_mask(root / "masks" / split / f"{name}.png", vessels)
    return root
