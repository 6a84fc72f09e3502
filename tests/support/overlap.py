"""A kind of task that is no classification, as small as one can be: how much of each case is found."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.records import Records
from transfusion_cli.tasks.base import TransferTask


@dataclass(frozen=True, kw_only=True, eq=False)
class OverlapEvaluation(Evaluation):
    """One number a case, and its mean as the metric ``dice``."""

    overlap: Tensor

    def statistic(self, weights):
        return {"dice": weights @ self.overlap.double() / weights.sum()}

    def support(self, metric):
        return {"samples": len(self)}

    @property
    def counts(self):
        return {}

    def columns(self):
        return {"dice": self.overlap.numpy()}

    def truth(self):
        return {}

    @classmethod
    def of_table(cls, columns, metrics):
        if "dice" not in columns:
            return None
        overlap = torch.tensor(columns["dice"].astype(float))
        return cls(index=torch.arange(len(overlap)), overlap=overlap)

    def take(self, rows):
        patients = None if self.patients is None else self.patients[rows]
        return replace(self, index=self.index[rows], patients=patients, loss=None, overlap=self.overlap[rows])


class OverlapTask(TransferTask):
    """Learns a number from 0 to 1 for each image."""

    num_outputs = 1
    headline = ("loss", "dice")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.save_hyperparameters(ignore=["transfer", "optimizer", "lr_scheduler"])
        self.records = Records(overlap=torch.empty(0))

    def loss(self, outputs, targets):
        return (outputs.sigmoid() - targets).square().sum(), torch.tensor(float(len(targets)))

    def record(self, batch):
        return {"overlap": 1 - (self(batch["image"]).sigmoid() - batch["target"]).abs()[:, 0]}

    def evaluate(self, table):
        return OverlapEvaluation(index=table.index, overlap=table["overlap"])
