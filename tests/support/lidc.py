"""LIDC-IDRI: a folder of DICOM slices a series, and beside them what four readers drew, as XML."""

from pathlib import Path

import numpy as np
from support.images import save_dicom

SPACING = np.array([0.8, 0.7, 2.0])
SHAPE = (16, 40, 44)
CORNER = np.array([-120.0, -90.0, -200.0])
NAMESPACE = "http://www.nih.gov"
RATINGS = ([4, 5, 5, 4], [1, 2, 1, 2], [3, 3, 3, 3], [5, 5])
"""By the readers of a scan's nodules: malignant, benign, open, and one that two readers saw."""

CENTRES = ([12, 10, 5], [32, 12, 5], [12, 30, 11], [32, 30, 11])
RADII = (5.0, 3.5, 3.5, 4.0)
"""In pixels and slices x, y, z, and in mm."""

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
"""A pixel and its neighbours."""


def uid(number: int) -> str:
    """UID of a scan."""
    return f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{10**20 + number * 7919}"


def patient(number: int) -> str:
    """Patient of a scan; the last two are of one."""
    return f"LIDC-IDRI-{number:04d}"


def build(root: Path, patients: int = 12) -> Path:
    """Write a scan a patient, and a second of the last; radiographs lie among them."""
    for number in range(patients + 1):
        owner = patient(min(number, patients - 1))
        folder = root / "LIDC-IDRI" / owner / f"01-01-2000-NA-{number}" / "3000.000000-NA-1"
        inside = [ball(*one) for one in zip(CENTRES, RADII, strict=True)]
        save_series(folder, owner, uid(number), inside, number)
        nodules = [
            [
                annotation(mask, rating) if k < len(ratings) else ""
                for k, rating in enumerate([*ratings, 0, 0, 0, 0][:4])
            ]
            for mask, ratings in zip(inside, RATINGS, strict=True)
        ]
        sessions = ["".join(of_reader) + SMALL + NON_NODULE for of_reader in zip(*nodules, strict=True)]
        (folder / f"{number:03d}.xml").write_text(message(uid(number), sessions))
    (root / "LIDC-IDRI" / patient(0) / "158.xml").write_text(f'<IdriReadMessage xmlns="{NAMESPACE}" />')
    save_dicom(root / "LIDC-IDRI" / patient(0) / "cxr" / "1-1.dcm", np.zeros((8, 8), np.uint16), 12, Modality="DX")
    return root


def ball(centre: list[int], radius: float) -> np.ndarray:
    """Voxels of a nodule, bool (D, H, W), without corners that no outline could tell from what is around them."""
    import cv2

    z, y, x = np.indices(SHAPE)
    inside = np.linalg.norm((np.stack([x, y, z], axis=-1) - centre) * SPACING, axis=-1) <= radius
    return np.stack([cv2.morphologyEx(plane, cv2.MORPH_CLOSE, CROSS) for plane in inside.astype(np.uint8)]) > 0


def place(z: int) -> float:
    """Place of a slice, mm."""
    return float(CORNER[2] + SPACING[2] * z)


def save_series(folder: Path, owner: str, series: str, nodules: list[np.ndarray], seed: int) -> None:
    """Write the slices, named in an order that is not theirs: Hounsfield units by slope and intercept."""
    rng = np.random.default_rng(seed)
    values = rng.normal(-800, 20, SHAPE)
    for mask in nodules:
        values[mask] = 100
    for z, plane in enumerate(values):
        facts = {
            "Modality": "CT",
            "PatientID": owner,
            "SeriesInstanceUID": series,
            "ImagePositionPatient": [*CORNER[:2].tolist(), place(z)],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [float(SPACING[1]), float(SPACING[0])],
            "SliceThickness": float(SPACING[2]),
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
        }
        pixels = (plane + 1024).astype(np.uint16)
        save_dicom(folder / f"1-{len(values) - z:03d}.dcm", pixels, 16, **facts)


def outlines(mask: np.ndarray, inclusion: str = "TRUE") -> str:
    """The regions of a nodule: chains of the first pixels outside, slice by slice."""
    import cv2

    rois = []
    for z in np.flatnonzero(mask.any(axis=(1, 2))).tolist():
        around = cv2.dilate(mask[z].astype(np.uint8), CROSS)
        [chain], _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        edges = "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for [[x, y]] in chain)
        rois.append(
            f"<roi><imageZposition>{place(z)}</imageZposition><imageSOP_UID>1.2.{z}</imageSOP_UID>"
            f"<inclusion>{inclusion}</inclusion>{edges}</roi>"
        )
    return "".join(rois)


def annotation(mask: np.ndarray, malignancy: int, hole: np.ndarray | None = None) -> str:
    """A nodule of 3 mm or more, with a hole or without."""
    drawn = outlines(mask) + ("" if hole is None else outlines(hole, "FALSE"))
    ratings = f"<characteristics><subtlety>5</subtlety><malignancy>{malignancy}</malignancy></characteristics>"
    return f"<unblindedReadNodule><noduleID>1</noduleID>{ratings}{drawn}</unblindedReadNodule>"


SMALL = (
    "<unblindedReadNodule><noduleID>2</noduleID><roi><imageZposition>-190.0</imageZposition><inclusion>TRUE</inclusion>"
    "<edgeMap><xCoord>7</xCoord><yCoord>7</yCoord></edgeMap></roi></unblindedReadNodule>"
)
"""A nodule under 3 mm: one point."""

NON_NODULE = (
    "<nonNodule><nonNoduleID>3</nonNoduleID><imageZposition>-180.0</imageZposition>"
    "<locus><xCoord>9</xCoord><yCoord>9</yCoord></locus></nonNodule>"
)


def message(series: str, sessions: list[str]) -> str:
    """The file of a scan."""
    head = f"<ResponseHeader><Version>1.8.1</Version><SeriesInstanceUid>{series}</SeriesInstanceUid></ResponseHeader>"
    read = "".join(f"<readingSession>{session}</readingSession>" for session in sessions)
    return f'<?xml version="1.0" encoding="UTF-8"?><LidcReadMessage xmlns="{NAMESPACE}">{head}{read}</LidcReadMessage>'
