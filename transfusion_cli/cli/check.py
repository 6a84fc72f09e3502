"""``transfusion check``: would this config run?"""

import logging
from typing import Any

import numpy as np

from transfusion_cli.cli.app import TransfusionCLI, look_at
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.samples import SPLITS, SampleTable
from transfusion_cli.tasks.usual_rates import rate_remark

log = logging.getLogger(__name__)


class CheckCLI(TransfusionCLI):
    """Parses like ``fit``, runs one batch of each phase forward and backward, and writes nothing."""

    records = False

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Any]) -> Any:
        off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        return super()._instantiate_trainer({**config, **dict.fromkeys(off, False), "fast_dev_run": True}, callbacks)

    def _run_subcommand(self, subcommand: str) -> None:
        look_at(self.datamodule)
        self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=self.own.ckpt_path)
        if not self.trainer.is_global_zero:
            return
        data = self.datamodule
        print(f"What trains\n{self.model.audit()}\n")
        own, optimizer = self.model.transferred, self.model.optimisation.optimizer
        odd = next(filter(None, (rate_remark(own, phase, optimizer(own, phase)) for phase in own.plan)), None)
        if odd is not None:
            log.warning("%s", odd)
        print(f"Data: {type(data).__name__}, {data.target}: {', '.join(data.class_names)}")
        for split in SPLITS:
            rows = data.samples.rows(split)
            patients = 0 if data.samples.patients is None else len(np.unique(data.samples.patients[rows]))
            print(f"  {split:<6}{len(rows):>10,} {data.unit}" + (f" of {patients:,} patients" if patients else ""))
        print(f"  split {data.split_hash[:12]}; {parting(data.samples, data.unit)}")
        went = "\nOne batch went forward and backward"
        if isinstance(data, MaskDataModule):
            patches = f"{data.patches_per_case} of each case in an epoch, {data.batch_size} in a batch"
            print(f"  patches of {' x '.join(map(str, data.size))}, {patches}")
            went += ", and one case was predicted as a whole"
        print(f"{went}. Nothing was written.")


def parting(samples: SampleTable, unit: str) -> str:
    """Whether patients keep to one split, as far as is known."""
    if samples.patients is None:
        return f"no patients are known, so that {unit} of one may be in two splits"
    inside = samples.split != ""
    pairs = np.unique(np.stack([samples.patients[inside], samples.split[inside]], axis=1), axis=0)
    _, splits = np.unique(pairs[:, 0], return_counts=True)
    several = int((splits > 1).sum())
    if several:
        return f"{several:,} of {len(splits):,} patients are in two splits or more"
    return "no patient is in two splits"


def run(verb: str, args: list[str]) -> TransfusionCLI:
    """Parse, build, run one batch and say what a run would do."""
    quieten()
    return CheckCLI(["fit", *args])
