"""Train source weights of the package on procedurally drawn images, on one core in ten to fifteen minutes.

    python scripts/make_source_weights.py
    python scripts/make_source_weights.py --backbone cifar_vit6

The same seed on the same versions gives the same file. The file's metadata says how it was made and which mean,
standard deviation and input size the weights expect.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from textures import CLASSES, draw_texture
from torch import Tensor, nn

import transfusion_cli.models  # noqa: F401 (registers the backbones)

SIZE = 32
WEIGHTS = Path(__file__).parents[1] / "transfusion_cli/weights"


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: an optimizer, and what the flags say where they are not given."""

    optimizer: Callable[..., torch.optim.Optimizer]
    weight_decay: float
    lr: float
    epochs: int
    images: int = 16000
    batch_size: int = 64
    kept_as: torch.dtype = torch.float32


RECIPES = {
    "cifar_resnet20": Recipe(
        partial(torch.optim.SGD, momentum=0.9, nesterov=True), weight_decay=5e-4, lr=0.1, epochs=6
    ),
    "cifar_vit6": Recipe(torch.optim.AdamW, weight_decay=0.05, lr=1e-3, epochs=8, kept_as=torch.float16),
}


def draw_set(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Draw ``count`` images, classes in turn: uint8 (count, 3, SIZE, SIZE) and int64 (count,)."""
    labels = np.arange(count) % len(CLASSES)
    images = [draw_texture(np.random.default_rng([seed, i]), int(label), SIZE) for i, label in enumerate(labels)]
    return torch.from_numpy(np.stack(images)), torch.from_numpy(labels)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the batch and shift it whole by up to 4 pixels."""
    mirror = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    images = F.pad(torch.where(mirror, images.flip(-1), images), (4, 4, 4, 4), mode="reflect")
    top, left = torch.randint(0, 9, (2,), generator=generator).tolist()
    return images[..., top : top + SIZE, left : left + SIZE]


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images whose class is recognised."""
    network.eval()
    guesses = torch.cat([network(batch).argmax(1) for batch in images.split(250)])
    return (guesses == labels).float().mean().item()


def train(backbone: str, settings: argparse.Namespace) -> tuple[nn.Module, dict[str, str]]:
    """Train the network; returns it with the provenance for the file's metadata."""
    start = time.monotonic()
    images, labels = draw_set(settings.seed, settings.images)
    held_out, held_out_labels = draw_set(settings.seed + 1, 2000)
    pixels = images.float() / 255
    mean, std = ([round(v, 4) for v in fact(pixels, (0, 2, 3)).tolist()] for fact in (torch.mean, torch.std))

    def normalise(batch: Tensor) -> Tensor:
        batch = (batch.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        return batch.contiguous(memory_format=torch.channels_last)

    network = timm.create_model(backbone, num_classes=len(CLASSES)).to(memory_format=torch.channels_last)
    steps = settings.epochs * (settings.images // settings.batch_size)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    recipe = RECIPES[backbone]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = recipe.optimizer(groups, lr=settings.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=steps, pct_start=0.25)
    generator = torch.Generator().manual_seed(settings.seed)
    for epoch in range(settings.epochs):
        network.train()
        losses = []
        rows_of_batches = torch.randperm(settings.images, generator=generator).split(settings.batch_size)
        for rows in rows_of_batches[: steps // settings.epochs]:
            loss = F.cross_entropy(network(augment(normalise(images[rows]), generator)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        seconds = time.monotonic() - start
        print(f"epoch {epoch + 1}/{settings.epochs}: loss {np.mean(losses):.3f}, {seconds:.0f} s", flush=True)
    network.to(recipe.kept_as).float()  # what is measured is what is kept
    found = accuracy(network, normalise(held_out), held_out_labels)
    print(f"accuracy on held-out draws: {found:.3f}")
    return network, {
        "architecture": backbone,
        "mean": json.dumps(mean),
        "std": json.dumps(std),
        "input_size": json.dumps([3, SIZE, SIZE]),
        "classes": json.dumps(list(CLASSES)),
        "script": "scripts/make_source_weights.py",
        "settings": json.dumps(vars(settings)),
        "versions": json.dumps({"torch": torch.__version__, "timm": timm.__version__, "numpy": np.__version__}),
        "date": datetime.now(UTC).date().isoformat(),
        "held_out_accuracy": f"{found:.4f}",
        "license": "Apache-2.0",
    }


def main() -> None:
    """Parse the command line, train, save."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--backbone", choices=RECIPES, default="cifar_resnet20")
    first.add_argument("--out", type=Path, help="file to write; by default the one that the package ships")
    chosen, rest = first.parse_known_args()
    recipe = RECIPES[chosen.backbone]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[first]
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, default=recipe.images)
    parser.add_argument("--epochs", type=int, default=recipe.epochs)
    parser.add_argument("--batch_size", type=int, default=recipe.batch_size)
    parser.add_argument("--lr", type=float, default=recipe.lr)
    settings = parser.parse_args(rest)
    del settings.backbone, settings.out
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    network, provenance = train(chosen.backbone, settings)
    out = chosen.out or WEIGHTS / f"{chosen.backbone}_textures.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in network.to(recipe.kept_as).state_dict().items()}
    save_file(tensors, out, provenance)
    print(f"saved {out} ({out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
