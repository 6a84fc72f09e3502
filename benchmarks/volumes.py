"""Patches of prepared volumes against whole volumes, and against MONAI's loop: ``python benchmarks/volumes.py``.

Volumes are drawn: blocks of tissue under noise, so that they compress about as CT does. All ratios are of one run, on
files in the page cache. Both loaders cut the same patches out of the same volumes, anywhere, with the same changes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import torch
from torch.utils.data import DataLoader

from transfusion_cli.data.masks.patches import PatchDataset
from transfusion_cli.data.volumes.augmentation import VolumeAugmentation, build_transforms, default
from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.data.volumes.intensity import Intensity
from transfusion_cli.data.volumes.prepared_reader import PreparedReader
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.data.volumes.store import VolumeStore

PATCH = (64, 64, 64)
WINDOW = (-200.0, 300.0)
PREPROCESSING = Preprocessing(None, None, (Intensity.window(*WINDOW),))


def draw(folder: Path, shape: tuple[int, int, int], number: int) -> CaseFiles:
    """Cases of a shape (D, H, W) as .nii.gz."""
    rng, names = np.random.default_rng(0), [f"case_{place}" for place in range(number)]
    for name in names:
        coarse = rng.integers(0, 3, [side // 16 + 1 for side in shape])
        mask = np.kron(coarse, np.ones((16, 16, 16)))[: shape[0], : shape[1], : shape[2]].astype(np.uint8)
        image = (rng.normal(0, 12, shape) + mask * 80 - 100).astype(np.int16)
        for kind, array in (("image", image), ("mask", mask)):
            path = folder / f"{kind}_{name}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(array.T, np.diag([-0.8, -0.8, 1.5, 1])), path)
    images, masks = ([f"{kind}_{name}.nii.gz" for name in names] for kind in ("image", "mask"))
    labels = {0: 0, 1: 1, 2: 2}
    return CaseFiles(folder, np.array(names), np.array(images)[:, None], np.array(masks), 1, labels)


def median(work: Callable[[], object], times: int) -> float:
    """Seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def reading(shape: tuple[int, int, int]) -> None:
    """A patch from the store against a whole volume from its file."""
    with tempfile.TemporaryDirectory() as name:
        files = draw(Path(name), shape, 1)
        store = VolumeStore(Path(name) / "cache", files, PREPROCESSING)
        store.prepare(np.arange(1), 0)
        reader, rng = PreparedReader(store, np.arange(1)), np.random.default_rng(1)
        spare = np.array(shape) - PATCH + 1
        path = files.image_paths(0)[0]

        def patch() -> object:
            return reader.patch(0, tuple(rng.integers(0, spare).tolist()), PATCH)

        whole = median(lambda: np.asarray(nibabel.load(path).dataobj), 3)
        part = median(patch, 200)
        print(f"a patch of {PATCH} from a prepared volume of {shape}: {part * 1e3:.2f} ms")
        print(f"the image alone from its .nii.gz, by nibabel: {whole * 1e3:,.0f} ms, {whole / part:,.0f} times as long")
        print(f"of a patch, opening the maps takes {median(reader.cases[0].check, 50) * 1e3:.2f} ms\n")


def our_loader(folder: Path, files: CaseFiles, augmented: bool) -> DataLoader:
    """Patches from the store."""
    rows = np.arange(len(files.ids))
    reader = PreparedReader(VolumeStore(folder / "cache", files, PREPROCESSING), rows)
    augment = VolumeAugmentation(default(PATCH), 1, PATCH) if augmented else None
    dataset = PatchDataset(reader, rows, PATCH, args.patches // len(rows), 0, 0.0, augment)
    places = [[(place + offset, 0) for offset in range(2)] for place in range(0, len(dataset), 2)]
    return DataLoader(dataset, batch_sampler=places, num_workers=args.workers)


def monai_loader(folder: Path, files: CaseFiles, augmented: bool) -> DataLoader:
    """MONAI's way: volumes in memory, ready but for what is random."""
    from monai import transforms
    from monai.data import CacheDataset, list_data_collate

    keys = ["image", "mask"]
    cases = [
        {"image": str(files.image_paths(row)[0]), "mask": str(files.mask_path(row))} for row in range(len(files.ids))
    ]
    low, high = WINDOW
    steps = [
        transforms.LoadImaged(keys),
        transforms.EnsureChannelFirstd(keys),
        transforms.ScaleIntensityRanged("image", low, high, 0, 1, clip=True),
        transforms.RandSpatialCropd(keys, PATCH, random_size=False),
        *(build_transforms(default(PATCH)) if augmented else []),
    ]
    each = args.patches // len(cases)
    # By hash, so that each volume is kept once, however many patches an epoch takes of it.
    dataset = CacheDataset(cases * each, transforms.Compose(steps), progress=False, num_workers=1, hash_as_key=True)
    return DataLoader(dataset, batch_size=2, shuffle=True, num_workers=args.workers, collate_fn=list_data_collate)


def anonymous() -> int:
    """Bytes of memory of this process and its children that no file backs, each page counted once."""
    processes = [
        os.getpid(),
        *(int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()),
    ]
    lines = (line for pid in processes for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon"))


def loop(kind: str, augmented: bool) -> dict[str, float]:
    """Patches a second over an epoch, and the most memory beyond what the imports took."""
    folder = Path(args.folder)
    with (folder / "files.json").open() as file:
        facts = json.load(file)
    files = CaseFiles(folder, *(np.array(facts[key]) for key in ("ids", "images", "masks")), 1, {0: 0, 1: 1, 2: 2})
    torch.set_num_threads(1)
    before = anonymous()
    loader = {"ours": our_loader, "monai": monai_loader}[kind](folder, files, augmented)
    most, done, start = 0, 0, time.perf_counter()
    for batch in loader:
        if not done:
            start = time.perf_counter()  # the workers have started
        done += len(batch["image"])
        most = max(most, anonymous() - before)
    return {"speed": (done - 2) / (time.perf_counter() - start), "memory": most}


def loaders(shape: tuple[int, int, int], number: int) -> None:
    """Both loops, each in processes of their own, several times in turn."""
    with tempfile.TemporaryDirectory() as name:
        files = draw(Path(name), shape, number)
        VolumeStore(Path(name) / "cache", files, PREPROCESSING).prepare(np.arange(number), 0)
        facts = {"ids": files.ids.tolist(), "images": files.images.tolist(), "masks": files.masks.tolist()}
        (Path(name) / "files.json").write_text(json.dumps(facts))
        print(f"{number} volumes of {shape}, {args.workers} workers; the median of {args.rounds} rounds in turn")
        print("| augmentation | ours, patches/s | MONAI, patches/s | ratio | ours, MB | MONAI, MB | ratio |")
        print("|" + "---|" * 7)
        for augmented in (False, True):
            found = {kind: [child(kind, augmented, name) for _ in range(args.rounds)] for kind in ("ours", "monai")}
            speed, memory = (
                [float(np.median([one[key] for one in found[kind]])) for kind in found] for key in ("speed", "memory")
            )
            cells = [*speed, speed[0] / speed[1], memory[0] / 1e6, memory[1] / 1e6, memory[0] / memory[1]]
            print(
                "|",
                " | ".join(["default" if augmented else "none", *(f"{cell:.2f}" for cell in cells)]),
                "|",
                flush=True,
            )


def child(kind: str, augmented: bool, folder: str) -> dict[str, float]:
    """One loop in a process of its own."""
    command = [sys.executable, __file__, "--loop", kind, "--folder", folder, "--patches", str(args.patches)]
    command += ["--workers", str(args.workers), *(["--augmented"] if augmented else [])]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(said.splitlines()[-1]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512), help="of the volume that is read")
    parser.add_argument("--loop_shape", type=int, nargs=3, default=(128, 256, 256), help="of those for the loaders")
    parser.add_argument("--volumes", type=int, default=4)
    parser.add_argument("--patches", type=int, default=80, help="in an epoch")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", choices=("ours", "monai"), help=argparse.SUPPRESS)
    parser.add_argument("--augmented", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.loop:
        print(json.dumps(loop(args.loop, args.augmented)))
    else:
        reading(tuple(args.shape))
        loaders(tuple(args.loop_shape), args.volumes)
