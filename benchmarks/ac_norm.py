"""What AC-Norm costs: a training step of ResNet-50 with it, beside one without.

    python benchmarks/ac_norm.py [--rounds 5] [--batch 8] [--size 224] [--backbone resnet50]

Side by side in one run, interleaved, with the BatchNorm statistics of the batch in all of training:

* ``full``: the network as it is;
* ``ac_norm``: AC-Norm as this package computes it;
* ``definition``: AC-Norm written from its definition: a dense correlation in every forward, and two calls of batch
  normalisation;
* ``folded``: after ``fold_ac_norm``, in inference, beside ``plain`` inference.

Times are medians of ratios within a round; memory is the largest resident size of a process of its own that does two
steps, less what the process held before.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfusion_cli.models.ac_norm import ACNorm, convert_ac_norm, fold_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers

TRAINED = ("full", "ac_norm", "definition")


class ByDefinition(ACNorm):
    """The layer as the paper writes it: the matrix, and both terms by a call of their own."""

    def forward(self, x: Tensor) -> Tensor:
        """BN(x; g, b) + BN(x; C g, C b)."""
        mixing, bn = self.correlation(), self.bn
        second = F.batch_norm(x, None, None, mixing @ bn.weight, mixing @ bn.bias, training=True, eps=bn.eps)
        return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, True, bn.momentum, bn.eps) + second


def network(kind: str, backbone: str) -> nn.Module:
    """A network of one of the kinds, whose scales and shifts have moved."""
    torch.manual_seed(0)
    model = timm.create_model(backbone, num_classes=1)
    layers = batch_norm_layers(model)
    with torch.no_grad():
        for layer in layers.values():
            layer.weight.normal_(1, 0.3)
            layer.bias.normal_(0, 0.3)
    if kind in ("ac_norm", "folded"):
        convert_ac_norm(model, layers)
    elif kind == "definition":
        for name, layer in layers.items():
            model.set_submodule(name, ByDefinition(layer))
    with torch.no_grad():
        for layer in layers.values():
            layer.bias.add_(0.1 * torch.randn_like(layer.bias))
    if kind == "folded":
        fold_ac_norm(model)
    return model


def trainer(kind: str, args: argparse.Namespace) -> Callable[[], object]:
    """What makes one training step, or one inference for ``plain`` and ``folded``."""
    model = network(kind, args.backbone)
    images = torch.randn(args.batch, 3, args.size, args.size)
    if kind in ("plain", "folded"):
        model.eval()
        return lambda: infer(model, images)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()

    return step


@torch.inference_mode()
def infer(model: nn.Module, images: Tensor) -> Tensor:
    """Logits."""
    logits: Tensor = model(images)
    return logits


def peak(kind: str, args: argparse.Namespace) -> float:
    """Megabytes that two steps add to a process of their own."""
    flags = ["--batch", str(args.batch), "--size", str(args.size), "--backbone", args.backbone]
    out = subprocess.run([sys.executable, __file__, "--peak", kind, *flags], capture_output=True, text=True, check=True)
    return float(json.loads(out.stdout))


def resident() -> float:
    """Largest resident size of this process until now, in megabytes."""
    status = Path("/proc/self/status").read_text()  # getrusage would begin with what the parent had
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--peak", choices=TRAINED, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        before, step = resident(), trainer(args.peak, args)
        step(), step()
        print(json.dumps(resident() - before))
        return
    steps = {kind: trainer(kind, args) for kind in (*TRAINED, "plain", "folded")}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    for round_ in range(args.rounds + 1):
        for kind, step in steps.items():
            start = time.perf_counter()
            step()
            if round_:  # the first warms up
                seconds[kind].append(time.perf_counter() - start)

    def ratio(kind: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[kind], seconds[other], strict=True))

    megabytes = {kind: peak(kind, args) for kind in TRAINED}
    threads = torch.get_num_threads()
    print(f"{args.backbone}, batch {args.batch}, {args.size} px, {threads} threads, {args.rounds} rounds")
    print(f"{'':12}{'s a step':>10}{'x full':>8}{'MB':>8}{'x full':>8}")
    for kind in TRAINED:
        time_, memory = statistics.median(seconds[kind]), megabytes[kind]
        print(f"{kind:12}{time_:10.2f}{ratio(kind, 'full'):8.3f}{memory:8.0f}{memory / megabytes['full']:8.3f}")
    print(f"inference after fold(): {ratio('folded', 'plain'):.3f} x that of plain BatchNorm")


if __name__ == "__main__":
    main()
