"""``transfusion check``: would this config run?"""

from typing import Any

from transfusion_cli.cli.app import TransfusionCLI
from transfusion_cli.cli.quiet import quieten


class CheckCLI(TransfusionCLI):
    """Parses like ``fit``, runs one batch of each phase forward and backward, and writes nothing."""

    records = False

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Any]) -> Any:
        off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        return super()._instantiate_trainer({**config, **dict.fromkeys(off, False), "fast_dev_run": True}, callbacks)

    def _run_subcommand(self, subcommand: str) -> None:
        self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=self.own.ckpt_path)
        if not self.trainer.is_global_zero:
            return
        data = self.datamodule
        print(f"What trains\n{self.model.audit()}\n")
        print(f"Data: {type(data).__name__}, {data.target}: {', '.join(data.class_names)}")
        frame = data.split_frame()
        for split, rows in frame.groupby("split", sort=False):
            patients = rows["patient"].replace("", None).nunique()
            print(f"  {split:<6}{len(rows):>10,} images" + (f" of {patients:,} patients" if patients else ""))
        print(f"  split {data.split_hash[:12]}; no patient is in two splits\n")
        print("One batch went forward and backward. Nothing was written.")


def run(verb: str, args: list[str]) -> TransfusionCLI:
    """Parse, build, run one batch and say what a run would do."""
    quieten()
    return CheckCLI(["fit", *args])
