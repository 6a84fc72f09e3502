"""What each strategy costs: time of an epoch and memory, beside training the whole network.

``python benchmarks/strategies.py [--backbone cifar_resnet20.textures] [--rounds 3]``. Every run goes through the whole
trainer, in a process of its own, of one thread. The epochs after the first count, by processor time without validation;
memory is by how much the largest resident size grows from before the network is built. Rounds are interleaved, and what
is printed are medians of the ratios to ``full`` within a round. Images are noise, and in memory: what decoding costs
would make all strategies look more alike.
"""

import argparse
import json
import logging
import os
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import lightning.pytorch as pl
import numpy as np
import timm
import torch

from transfusion_cli import strategies as s
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.reading.readers import ArrayReader
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.training.trainer import Trainer

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

ANY = {
    "full": lambda: s.FullFineTuning(),
    "head": lambda: s.HeadOnly(),
    "NormAffine": lambda: s.NormAffine(),
    "BiasOnly": lambda: s.BiasOnly(),
    "LoRA": lambda: s.LoRA(),
    "SSF": lambda: s.SSF(),
    "L2SP": lambda: [s.L2SP(), s.FullFineTuning()],
    "BSS": lambda: [s.BSS(), s.FullFineTuning()],
    "LWF": lambda: [s.LWF(), s.FullFineTuning()],
    "CoTuning": lambda: [s.CoTuning(), s.FullFineTuning()],
    "BiTuning": lambda: [s.BiTuning(keys=8), s.FullFineTuning()],
    "LayerwiseDecay": lambda: s.LayerwiseDecay(),
    "GradualUnfreezing": lambda: s.GradualUnfreezing(steps=1),
    "AutoRGN": lambda: [s.FullFineTuning(), s.AutoRGN()],
    "RandomInit": lambda: [s.RandomInit(), s.FullFineTuning()],
}
OF_BATCH_NORM = {
    "BN-affine": lambda: s.BatchNormAffine(),
    "AC-Norm": lambda: [s.ACNorm(), s.FullFineTuning()],
    "StochNorm": lambda: [s.StochNorm(), s.FullFineTuning()],
    "DELTA": lambda: [s.DELTA(), s.FullFineTuning()],
    "LoRA": lambda: s.LoRA(targets=["convolution"]),
}
OF_VITS = {
    "LayerScaleOnly": lambda: s.LayerScaleOnly(),
    "AdaptFormer": lambda: s.AdaptFormer(),
    "prompts": lambda: s.VisualPromptTuning(),
}


class Drawn(MedicalDataModule):
    """Noise, of which every other image is brighter; an eighth of it for validation."""

    target, class_names, in_chans = "binary", ["dark", "bright"], 3

    def __init__(self, images: int, size: int, batch_size: int) -> None:
        super().__init__(image_size=size, batch_size=batch_size, num_workers=0, augmentation=None)
        rng = np.random.default_rng(0)
        self.labels = np.arange(images) % 2
        self.images = rng.integers(0, 200, (images, size, size, 3), np.uint8)
        self.images += (20 * self.labels).astype(np.uint8)[:, None, None, None]
        self.splits = np.where(np.arange(images) // 2 % 8 == 0, "val", "train")

    def load_samples(self) -> SampleTable:
        """One row an image."""
        return SampleTable(
            as_text(map(str, range(len(self.labels)))), self.labels.astype(np.float32)[:, None], self.splits
        )

    def make_reader(self, split: str, size: tuple[int, ...] | None) -> ArrayReader:
        """From memory."""
        return ArrayReader(self.images, 0)


class Clock(pl.Callback):
    """Processor time of each epoch's training."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        """Begin."""
        self.start = time.process_time()

    def on_train_epoch_end(self, *_: Any) -> None:
        """End; validation, which is the same for all, is over by then and taken off."""
        self.seconds.append(time.process_time() - self.start - self.validation)

    def on_validation_start(self, *_: Any) -> None:
        """Begin to leave out."""
        self.began = time.process_time()

    def on_validation_end(self, *_: Any) -> None:
        """How long it took."""
        self.validation = time.process_time() - self.began


def run(transfer: Any, args: argparse.Namespace, data: Drawn) -> dict[str, float]:
    """A run of a strategy: seconds of an epoch, megabytes, and how many parameters train."""
    before, clock = resident(), Clock()
    model = {"backbone": args.backbone, "pretrained": True, "image_size": args.size, "transfer": transfer}
    task = ClassificationTask(**model, target=data.target, class_names=data.class_names)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "num_sanity_val_steps": 0}
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=args.epochs, callbacks=[clock], enable_checkpointing=False, **quiet
    )
    trainer.fit(task, datamodule=data)
    trains = sum(parameter.numel() for parameter in task.parameters() if parameter.requires_grad)
    return {"seconds": statistics.mean(clock.seconds[1:]), "megabytes": resident() - before, "trains": trains}


def alone(*work: Any) -> dict[str, float]:
    """``run`` in a process of its own, which has imported everything already."""
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writes, json.dumps(run(*work)).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    found: dict[str, float] = json.loads(said)
    return found


def resident() -> float:
    """Largest resident size of this process until now, in megabytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="cifar_resnet20.textures")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds, of which the median counts")
    parser.add_argument("--only", nargs="+", help="these strategies, beside full")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Drawn(args.images, args.size, args.batch)
    network = timm.create_model(args.backbone)
    norms = any(isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) for layer in network.modules())
    measured = ANY | (OF_BATCH_NORM if norms else OF_VITS)
    measured = {name: make for name, make in measured.items() if not args.only or name in ["full", *args.only]}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in measured}
    for _ in range(args.rounds):
        for name, make in measured.items():
            found[name].append(alone(make(), args, data))

    def ratio(name: str, what: str) -> float:
        return statistics.median(a[what] / b[what] for a, b in zip(found[name], found["full"], strict=True))

    seconds, megabytes = (statistics.median(one[what] for one in found["full"]) for what in ("seconds", "megabytes"))
    print(f"{args.backbone}, {args.images} images of {args.size} x {args.size}, batches of {args.batch}, one thread,")
    print(f"medians of {args.rounds} interleaved rounds; full: {seconds:.2f} s an epoch, {megabytes:.0f} MB\n")
    print(f"| {'strategy':<18} | x time | x memory | {'trains at the end':>17} |")
    print(f"|{'-' * 20}|-------:|---------:|{'-' * 18}:|")
    for name in found:
        trains = int(found[name][0]["trains"])
        print(f"| {name:<18} | {ratio(name, 'seconds'):6.2f} | {ratio(name, 'megabytes'):8.2f} | {trains:17,} |")


if __name__ == "__main__":
    main()
