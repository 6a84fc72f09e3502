"""Images per second from files to training tensors, plainly, by our reader, and from its cache.

``python benchmarks/reading.py``. Files are synthetic, with the statistics of photographs: noise whose amplitude falls
with the frequency as a lens makes it fall, and a few shapes. They lie in the page cache, so this measures decoding.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import pydicom
import torch
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from torch.utils.data import Dataset
from torchvision.transforms import v2

from transfusion_cli.data.cache.build import build_cache
from transfusion_cli.datasets import ImageTableDataModule

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=6, help="different images of each kind")
parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds, of which the median counts")
parser.add_argument("--size", type=int, default=224)
args = parser.parse_args()

KINDS = {
    "JPEG 2,500 x 3,000 colour": ("jpg", (2500, 3000), 3),
    "JPEG 2,500 x 3,000 grey": ("jpg", (2500, 3000), 1),
    "JPEG 1,024 x 1,024 colour": ("jpg", (1024, 1024), 3),
    "JPEG 320 x 390 grey": ("jpg", (320, 390), 1),
    "PNG 1,024 x 1,024 grey": ("png", (1024, 1024), 1),
    "DICOM 1,024 x 1,024, 16 bits": ("dcm", (1024, 1024), 1),
}


def photograph(shape: tuple[int, int], channels: int, seed: int) -> np.ndarray:
    """Float (H, W) or (H, W, 3) in [0, 1]."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    fall = np.exp(-((frequency / 0.25) ** 2)) / np.maximum(frequency, 1 / max(shape))
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * fall, shape) for _ in range(channels)]
    planes = [0.15 * plane / plane.std() for plane in planes]
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    for _ in range(4):
        (cy, cx), (ry, rx) = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.1, 0.5, 2)
        planes[0] += rng.uniform(-0.2, 0.2) * ((((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2) < 1)
    planes = [planes[0] + 0.3 * plane for plane in planes] if channels > 1 else planes  # colours go together
    return np.clip(0.45 + np.stack(planes, axis=-1).squeeze(), 0, 1)


def save(path: Path, image: np.ndarray) -> None:
    """Write one file: JPEG of quality 90, PNG, or uncompressed DICOM."""
    if path.suffix != ".dcm":
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(path, quality=90)
        return
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.Rows, header.Columns = image.shape
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelData = np.rint(image * 65535).astype(np.uint16).tobytes()
    pydicom.dcmwrite(path, header, enforce_file_format=True)


class Plain(Dataset[torch.Tensor]):
    """What one writes first: Pillow or pydicom, then torchvision's Resize."""

    def __init__(self, paths: Sequence[Path], channels: int) -> None:
        self.paths, self.mode = paths, "RGB" if channels == 3 else "L"
        self.resize = v2.Resize((args.size, args.size), antialias=True)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        path = self.paths[index]
        if path.suffix == ".dcm":
            values = pydicom.dcmread(path).pixel_array.astype(np.float32)
            values = (values - values.min()) / (values.max() - values.min())
            return self.resize(torch.from_numpy(values)[None])
        return v2.functional.pil_to_tensor(self.resize(Image.open(path).convert(self.mode)))


def per_image(read: Callable[[int], object], images: int) -> float:
    """Seconds for an image."""
    start = time.perf_counter()
    for index in range(images):
        read(index)
    return (time.perf_counter() - start) / images


torch.set_num_threads(1)
cv2.setNumThreads(0)
print(f"images a second on one core, to {args.size} x {args.size}; medians of {args.rounds} interleaved rounds\n")
print(f"{'':30}{'MB each':>8}{'plain':>9}{'ours':>9}{'cached':>9}{'ours/plain':>12}{'cached/plain':>14}")
for kind, (suffix, shape, channels) in KINDS.items():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{i}.{suffix}" for i in range(args.images)]
        for seed, path in enumerate(paths):
            save(path, photograph(shape, channels, seed))
        rows = "".join(f"{path.name},{'ab'[i % 2]},train,{i}\n" for i, path in enumerate(paths))
        (folder / "table.csv").write_text("image,label,split,patient\n" + rows)
        options = {"table": str(folder / "table.csv"), "channels": channels, "image_size": args.size}
        direct = ImageTableDataModule(**options, val_fraction=0.01, test_fraction=0.0)
        build_cache(direct.contents, folder / "cache", (args.size, args.size), progress=False)
        cached = ImageTableDataModule(**options, val_fraction=0.01, test_fraction=0.0, cache=str(folder / "cache"))
        readers = [Plain(paths, channels), *(data.statistics_dataloader(64).dataset for data in (direct, cached))]
        times = [[per_image(reader.__getitem__, len(reader)) for reader in readers] for _ in range(args.rounds)]
        plain, ours, stored = np.median(times, axis=0)
        megabytes = np.mean([path.stat().st_size for path in paths]) / 1e6
    print(
        f"{kind:30}{megabytes:8.2f}{1 / plain:9.1f}{1 / ours:9.1f}{1 / stored:9.0f}"
        f"{plain / ours:12.1f}{plain / stored:14.0f}",
        flush=True,
    )
