"""Train the source weights of the demo on procedurally drawn images, on one core in under ten minutes.

    python scripts/make_source_weights.py

The same seed on the same versions gives the same file. The file's metadata says how it was made and which mean,
standard deviation and input size the weights expect.
"""

import argparse
import json
import time
from datetime import UTC, datetime
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
WEIGHTS = Path(__file__).parents[1] / "transfusion_cli/weights/cifar_resnet20_textures.safetensors"


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


def train(args: argparse.Namespace) -> tuple[nn.Module, dict[str, str]]:
    """Train the network; returns it with the provenance for the file's metadata."""
    start = time.monotonic()
    images, labels = draw_set(args.seed, args.images)
    held_out, held_out_labels = draw_set(args.seed + 1, 2000)
    pixels = images.float() / 255
    mean, std = ([round(v, 4) for v in fact(pixels, (0, 2, 3)).tolist()] for fact in (torch.mean, torch.std))

    def normalise(batch: Tensor) -> Tensor:
        batch = (batch.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        return batch.contiguous(memory_format=torch.channels_last)

    network = timm.create_model("cifar_resnet20", num_classes=len(CLASSES)).to(memory_format=torch.channels_last)
    steps = args.epochs * (args.images // args.batch_size)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=args.lr, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=steps, pct_start=0.25)
    generator = torch.Generator().manual_seed(args.seed)
    for epoch in range(args.epochs):
        network.train()
        losses = []
        for rows in torch.randperm(args.images, generator=generator).split(args.batch_size)[: steps // args.epochs]:
            loss = F.cross_entropy(network(augment(normalise(images[rows]), generator)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        seconds = time.monotonic() - start
        print(f"epoch {epoch + 1}/{args.epochs}: loss {np.mean(losses):.3f}, {seconds:.0f} s", flush=True)
    found = accuracy(network, normalise(held_out), held_out_labels)
    print(f"accuracy on held-out draws: {found:.3f}")
    return network, {
        "architecture": "cifar_resnet20",
        "mean": json.dumps(mean),
        "std": json.dumps(std),
        "input_size": json.dumps([3, SIZE, SIZE]),
        "classes": json.dumps(list(CLASSES)),
        "script": "scripts/make_source_weights.py",
        "settings": json.dumps({k: v for k, v in vars(args).items() if k != "out"}),
        "versions": json.dumps({"torch": torch.__version__, "timm": timm.__version__, "numpy": np.__version__}),
        "date": datetime.now(UTC).date().isoformat(),
        "held_out_accuracy": f"{found:.4f}",
        "license": "Apache-2.0",
    }


def main() -> None:
    """Parse the command line, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, default=16000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    network, provenance = train(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, args.out, provenance)
    print(f"saved {args.out} ({args.out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
