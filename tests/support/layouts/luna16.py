"""LUNA16: scans in subsets as MetaImage, the candidates, and LIDC's table of patients beside them."""

from pathlib import Path

import numpy as np

PREFIX = "1.3.6.1.4.1.14519.5.2.1.6279.6001."
SPACING = np.array([0.8, 0.8, 2.5])
SHAPE = (16, 32, 32)
NODULE = 100.0


def series(number: int) -> str:
    """UID of a scan."""
    return f"{PREFIX}{10**29 + number * 7919}"


def build(root: Path, subsets: tuple[int, ...] = (0, 1, 9), scans: int = 4, each: int = 4) -> Path:
    """Write scans with ``each`` candidates, every second one a bright ball; every third scan lies turned about z.

    Patients are those of the scans, but scan 1, of subset 0, and the last scan of all are of one.
    """
    candidates, patients = ["seriesuid,coordX,coordY,coordZ,class"], ["Series UID,Collection,Subject ID"]
    numbers = range(len(subsets) * scans)
    for number in numbers:
        rng = np.random.default_rng(number)
        voxels, direction = rng.normal(-800, 20, SHAPE), np.diag([-1.0, -1, 1] if number % 3 == 2 else [1.0, 1, 1])
        origin = np.array([-30.0, 12.5, -100])
        for k in range(each):
            index = rng.integers(4, [28, 28, 12])
            if k % 2:
                ball(voxels, index)
            x, y, z = origin + direction @ (SPACING * index)
            candidates.append(f"{series(number)},{x},{y},{z},{k % 2}")
        name = series(number)
        save_scan(root / f"subset{subsets[number // scans]}" / f"{name}.mhd", voxels.astype("<i2"), origin, direction)
        patients.append(f"{name},LIDC-IDRI,LIDC-IDRI-{1 if number == numbers[-1] else number:04d}")
    (root / "candidates_V2.csv").write_text("\n".join(candidates) + "\n")
    (root / "metadata.csv").write_text("\n".join(patients) + "\n")
    return root


def ball(voxels: np.ndarray, index: np.ndarray, radius: float = 3.0) -> None:
    """Draw a nodule around x, y, z; mm."""
    z, y, x = np.indices(voxels.shape)
    places = np.stack([x, y, z], axis=-1) - index
    voxels[np.linalg.norm(places * SPACING, axis=-1) <= radius] = NODULE


def save_scan(path: Path, voxels: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> None:
    """Write header and voxels; of the direction the columns are the axes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": False,
        "TransformMatrix": " ".join(map(str, direction.T.ravel())),
        "Offset": " ".join(map(str, origin)),
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": " ".join(map(str, SPACING)),
        "DimSize": " ".join(map(str, reversed(voxels.shape))),
        "ElementType": "MET_SHORT",
        "ElementDataFile": path.with_suffix(".raw").name,
    }
    path.write_text("".join(f"{key} = {value}\n" for key, value in facts.items()))
    voxels.tofile(path.with_suffix(".raw"))
