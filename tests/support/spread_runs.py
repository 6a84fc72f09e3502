"""Short runs of every strategy, by one process or by one of several: ``python spread_runs.py FOLDER PROCESSES``.

Started once for each process, with its number in the environment, as ``torchrun`` would.
"""

import sys
from functools import partial
from pathlib import Path

import torch
from support.drawn_cases import DrawnCases
from support.runs import make_segmentation, make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.strategies import (
    BSS,
    DELTA,
    L2SP,
    LWF,
    SSF,
    ACNorm,
    AdaptFormer,
    AutoRGN,
    BatchNormAffine,
    BiasOnly,
    BiTuning,
    CoTuning,
    FullFineTuning,
    GaborInit,
    GradualUnfreezing,
    HeadOnly,
    LayerScaleOnly,
    LayerwiseDecay,
    LoRA,
    MeanVarInit,
    NormAffine,
    RandomInit,
    Reinitialise,
    SlimHybrid,
    StochNorm,
    SurgicalFineTuning,
    Truncate,
    VisualPromptTuning,
    WeightTransfusion,
)

STRATEGIES = {
    "full": lambda s: FullFineTuning(statistics=s),
    "head": lambda s: HeadOnly(statistics=s),
    "affine": lambda s: BatchNormAffine(statistics=s, head_epochs=1),
    "layerwise": lambda s: LayerwiseDecay(statistics=s),
    "gradual": lambda s: GradualUnfreezing(steps=1, statistics=s),
    "surgical": lambda s: SurgicalFineTuning(["conv1", "block1"], statistics=s),
    "auto-rgn": lambda s: [FullFineTuning(statistics=s), AutoRGN()],
    "mean-var": lambda s: [MeanVarInit(), FullFineTuning(statistics=s)],
    "random": lambda s: [RandomInit(), BatchNormAffine(statistics=s)],
    "ac-norm": lambda s: [ACNorm(), FullFineTuning(statistics=s)],
    "transfusion": lambda s: [WeightTransfusion("block1"), FullFineTuning(statistics=s)],
    "gabor": lambda s: [GaborInit(), FullFineTuning(statistics=s)],
    "reinitialise": lambda s: [Reinitialise(["block3"]), FullFineTuning(statistics=s)],
    "truncate": lambda s: [Truncate("block2"), FullFineTuning(statistics=s)],
    "slim": lambda s: [SlimHybrid("block1"), FullFineTuning(statistics=s)],
    "biases": lambda s: BiasOnly(statistics=s),
    "lora": lambda s: LoRA(rank=2, targets=["convolution"], statistics=s),
    "ssf": lambda s: SSF(statistics=s),
}

VIT = {"backbone": "test_vit2", "pretrained": False, "backbone_args": {"img_size": 16}}
OF_VITS = {
    "norm-affine": lambda _: NormAffine(),
    "layer-scale": lambda _: LayerScaleOnly(),
    "adapt-former": lambda _: AdaptFormer(width=4),
    "prompts": lambda _: VisualPromptTuning(2),
}

REGULARISED = {
    "l2-sp": lambda s: [L2SP(), FullFineTuning(statistics=s)],
    "bss": lambda s: [BSS(), FullFineTuning(statistics=s)],
    "delta": lambda s: [DELTA(layers=["layer1.2.conv2"]), FullFineTuning(statistics=s)],
    "stoch-norm": lambda s: [StochNorm(), FullFineTuning(statistics=s)],
    "lwf": lambda s: [LWF(), FullFineTuning(statistics=s)],
    "co-tuning": lambda s: [CoTuning(), FullFineTuning(statistics=s)],
    "bi-tuning": lambda s: [BiTuning(keys=6), FullFineTuning(statistics=s)],
}

POLICIES = ("frozen_all", "reestimate", "update")
MASKS = ("mask", "volume", "batch_dice")
RUNS = [
    (name, policy, "binary", batches)
    for name in ("full", "affine", "ac-norm")
    for policy in POLICIES
    for batches in (1, 3)
]
RUNS += [
    (name, "update", "binary", 3) for name in STRATEGIES | REGULARISED if name not in ("full", "affine", "ac-norm")
]
RUNS += [(name, "frozen", "binary", 3) for name in OF_VITS]
RUNS += [(name, "update", kind, 3) for name in ("full", "affine", "ac-norm") for kind in MASKS]
RUNS += [("full", "update", "volume", 1), ("lwf", "update", "binary", 1), ("affine", "frozen", "multilabel", 3)]
RUNS += [("full", "frozen", "binary", 1), ("full", "update", "multiclass", 3)]
"""Every strategy once; every policy and both ways of accumulating with those that differ most in what moves."""


def run(folder: Path, processes: int, name: str, policy: str, kind: str, accumulate: int) -> dict[str, torch.Tensor]:
    """Two epochs in float64, where what rounding makes of another order of sums is far below a wrong gradient."""
    optimizer = partial(torch.optim.SGD, lr=0.002, momentum=0.9)
    transfer, dims = (STRATEGIES | OF_VITS | REGULARISED)[name](policy), 3 if kind == "volume" else 2
    if kind in MASKS:
        side = {2: 16, 3: 8}[dims]
        data = DrawnCases(dims, cases=18, side=side, patch_size=side, patches_per_case=2, batch_size=4)
        task = make_segmentation(folder, transfer, dims, optimizer=optimizer, batch_dice=kind == "batch_dice")
    else:
        # 60 images: seven batches of 8, steps of three batches and of one, groups for statistics that are not equal.
        data = TinyDataModule(kind, train=60, other=10, batch_size=8, balanced=False)
        task = make_task(folder, transfer, kind, optimizer=optimizer, **(VIT if name in OF_VITS else {}))
    spread = {"strategy": "ddp", "devices": processes, "sync_batchnorm": True} if processes > 1 else {}
    trainer = make_trainer(folder, 2, accumulate_grad_batches=accumulate, precision="64-true", **spread)
    trainer.fit(task, datamodule=data)
    return {name: tensor.cpu() for name, tensor in task.state_dict().items()}


if __name__ == "__main__":
    from support.sync_on_cpu import synchronise_on_cpu

    synchronise_on_cpu()
    out, number = Path(sys.argv[1]), int(sys.argv[2])
    results = {what: run(out, number, *what) for what in RUNS}
    torch.save(results, out / f"{number}-{'process' if number == 1 else 'processes'}.pt")
