"""Small image files in real formats."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (20, 24), depth: int = 8) -> np.ndarray:
    """A smooth grey image, (H, W)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    wave = np.sin(x / rng.uniform(2, 6)) + np.cos(y / rng.uniform(2, 6)) + rng.normal(0, 0.1, size)
    wave = (wave - wave.min()) / (wave.max() - wave.min())
    return (wave * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)


def save_picture(path: Path, seed: int, size: tuple[int, int] = (20, 24)) -> Path:
    """Write a grey picture under any name that Pillow knows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, size)).save(path)
    return path


def save_dicom(path: Path, pixels: np.ndarray, bits_stored: int, **elements: object) -> Path:
    """Write an uncompressed secondary-capture DICOM file; ``elements`` set or override header fields by keyword."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.Modality, header.PatientID = "DX", "p1"
    header.Rows, header.Columns = pixels.shape[:2]
    header.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    header.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        header.PlanarConfiguration = 0
    header.BitsAllocated, header.BitsStored = pixels.dtype.itemsize * 8, bits_stored
    header.HighBit, header.PixelRepresentation = bits_stored - 1, int(pixels.dtype.kind == "i")
    header.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(header, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, header, enforce_file_format=True)
    return path


def build_image_folders(
    root: Path, classes: tuple[str, ...] = ("normal", "sick"), patients: int = 10, images: int = 2
) -> Path:
    """Write ``<class>/p<patient>_<image>.png``; patients of a class are numbered on from the class before."""
    for k, name in enumerate(classes):
        for patient in range(k * patients, (k + 1) * patients):
            for image in range(images):
                save_picture(root / name / f"p{patient:03d}_{image}.png", 100 * patient + image)
    return root


def build_image_table(root: Path, patients: int = 12, images: int = 2, splits: bool = False) -> Path:
    """Write images and ``table.csv`` with columns image, label, patient, two findings and, if asked, split."""
    rows = ["image,label,patient,oedema,nodule" + (",split" if splits else "")]
    for patient in range(patients):
        split = ("train", "train", "val", "test")[patient // 3 % 4]
        for image in range(images):
            name = f"images/{patient:03d}_{image}.png"
            save_picture(root / name, 100 * patient + image)
            label = ("healthy", "mild", "severe")[patient % 3]
            row = f"{name},{label},p{patient:03d},{patient % 2},{'' if patient % 5 == 4 else int(patient % 3 == 0)}"
            rows.append(row + (f",{split}" if splits else ""))
    (root / "table.csv").write_text("\n".join(rows) + "\n")
    return root / "table.csv"
