"""Short runs of every strategy, by one process or by one of several: ``python spread_runs.py FOLDER PROCESSES``.

Started once for each process, with its number in the environment, as ``torchrun`` would.
"""

import sys
from functools import partial
from pathlib import Path

import torch
from support.runs import make_task, make_trainer
from support.tiny import TinyDataModule

from transfusion_cli.strategies import (
    ACNorm,
    BatchNormAffine,
    FullFineTuning,
    GaborInit,
    HeadOnly,
    MeanVarInit,
    RandomInit,
    Reinitialise,
    SlimHybrid,
    Truncate,
    WeightTransfusion,
)

STRATEGIES = {
    "full": lambda s: FullFineTuning(statistics=s),
    "head": lambda s: HeadOnly(statistics=s),
    "affine": lambda s: BatchNormAffine(statistics=s, head_epochs=1),
    "mean-var": lambda s: [MeanVarInit(), FullFineTuning(statistics=s)],
    "random": lambda s: [RandomInit(), BatchNormAffine(statistics=s)],
    "ac-norm": lambda s: [ACNorm(), FullFineTuning(statistics=s)],
    "transfusion": lambda s: [WeightTransfusion("block1"), FullFineTuning(statistics=s)],
    "gabor": lambda s: [GaborInit(), FullFineTuning(statistics=s)],
    "reinitialise": lambda s: [Reinitialise(["block3"]), FullFineTuning(statistics=s)],
    "truncate": lambda s: [Truncate("block2"), FullFineTuning(statistics=s)],
    "slim": lambda s: [SlimHybrid("block1"), FullFineTuning(statistics=s)],
}

POLICIES = ("frozen_all", "reestimate", "update")
RUNS = [(name, policy, "binary", batches) for name in STRATEGIES for policy in POLICIES for batches in (1, 3)]
RUNS += [("full", "frozen", "binary", 1), ("affine", "frozen", "multilabel", 3), ("full", "update", "multiclass", 3)]


def run(folder: Path, processes: int, name: str, policy: str, kind: str, accumulate: int) -> dict[str, torch.Tensor]:
    """Two epochs in float64, where what rounding makes of another order of sums is far below a wrong gradient."""
    optimizer = partial(torch.optim.SGD, lr=0.002, momentum=0.9)
    task = make_task(folder, STRATEGIES[name](policy), kind, optimizer=optimizer)
    spread = {"strategy": "ddp", "devices": processes, "sync_batchnorm": True} if processes > 1 else {}
    trainer = make_trainer(folder, 2, accumulate_grad_batches=accumulate, precision="64-true", **spread)
    # 60 images: seven batches of 8, steps of three batches and of one, groups for statistics that are not equal.
    trainer.fit(task, datamodule=TinyDataModule(kind, train=60, other=10, batch_size=8, balanced=False))
    return {name: tensor.cpu() for name, tensor in task.state_dict().items()}


if __name__ == "__main__":
    from support.sync_on_cpu import synchronise_on_cpu

    synchronise_on_cpu()
    out, number = Path(sys.argv[1]), int(sys.argv[2])
    results = {what: run(out, number, *what) for what in RUNS}
    torch.save(results, out / f"{number}-{'process' if number == 1 else 'processes'}.pt")
