"""What training a head costs on images and on features computed once, in forward passes over the training set.

``python benchmarks/cached_head.py``. A forward pass is what nobody can do without: every training image read, and seen
by the network in evaluation mode, without gradients. Beside it stand, in interleaved rounds, a whole run of one epoch
on images, a run on features from nothing, and one whose features are there. Each has its validation in every epoch; a
run on images is told for all epochs, of which each costs what the one does. Images are drawn and in memory, which is
the worst case for the cache: what decoding costs is saved too.
"""

import argparse
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.reading.readers import ArrayReader
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.strategies import HeadOnly
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.training.trainer import Trainer

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=512, help="training images; an eighth of them more for validation")
parser.add_argument("--size", type=int, default=224)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds, of which the median counts")
parser.add_argument("--backbones", nargs="+", default=["resnet18", "resnet50"])
args = parser.parse_args()


class Drawn(MedicalDataModule):
    """Noise, of which every other image is brighter."""

    target, class_names, in_chans = "binary", ["dark", "bright"], 3

    def __init__(self) -> None:
        super().__init__(image_size=args.size, batch_size=args.batch, num_workers=0, augmentation=None)
        held = args.images // 8
        count = args.images + held
        rng = np.random.default_rng(0)
        self.labels = np.arange(count) % 2
        self.images = rng.integers(0, 200, (count, args.size, args.size, 3), np.uint8)
        self.images += (20 * self.labels).astype(np.uint8)[:, None, None, None]
        self.splits = np.array(["train"] * args.images + ["val"] * held)

    def load_samples(self) -> SampleTable:
        """One row an image."""
        targets = self.labels.astype(np.float32)[:, None]
        return SampleTable(as_text(map(str, range(len(targets)))), targets, self.splits)

    def make_reader(self, split: str, size: tuple[int, ...] | None) -> ArrayReader:
        """From memory."""
        return ArrayReader(self.images, 0)


def forward_pass(backbone: str, data: Drawn) -> None:
    """Read every training image and run the network on it."""
    task = ClassificationTask(backbone=backbone, pretrained=False, target="binary", class_names=data.class_names)
    task.build()
    task.eval()
    data.setup("fit")  # images again, after features
    with torch.no_grad():
        for batch in data.train_dataloader():
            task(task.normalise(batch["image"]))


def run(backbone: str, data: Drawn, epochs: int, store: Path | None) -> None:
    """Train a head."""
    head = HeadOnly(statistics="frozen_all", cache=False if store is None else str(store))
    names = data.class_names
    task = ClassificationTask(backbone=backbone, pretrained=False, target="binary", class_names=names, transfer=head)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "num_sanity_val_steps": 0}
    trainer = Trainer(accelerator="cpu", devices=1, max_epochs=epochs, enable_checkpointing=False, **quiet)
    trainer.fit(task, datamodule=data)


def seconds(work: Callable[..., None], *arguments: Any) -> float:
    """Processor time: of one thread on a busy machine it tells more than a clock."""
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start


torch.set_num_threads(1)
print(f"{args.epochs} epochs on {args.images} images of {args.size} x {args.size}, batches of {args.batch}, one core;")
print(f"in forward passes over the training set; medians of {args.rounds} interleaved rounds\n")
print(f"| {'backbone':<14} | pass, s | on images | on features | features known |")
print(f"|{'-' * 16}|--------:|----------:|------------:|---------------:|")
for backbone in args.backbones:
    data = Drawn()
    times = []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as name:
            once = seconds(forward_pass, backbone, data)
            live = seconds(run, backbone, data, 1, None)
            cached, known = (seconds(run, backbone, data, args.epochs, Path(name)) for _ in range(2))
        times.append((once, args.epochs * live, cached, known))
    passes = [np.median([row[0] for row in times]), *(np.median([row[i] / row[0] for row in times]) for i in (1, 2, 3))]
    print(
        f"| {backbone:<14} | {passes[0]:7.2f} | {passes[1]:9.1f} | {passes[2]:11.2f} | {passes[3]:14.2f} |", flush=True
    )
