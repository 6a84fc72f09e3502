"""LightningCLI, bent to this program's habits."""

import json
import logging
import os
import random
import shlex
from pathlib import Path
from pydoc import locate
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from transfusion_cli.cli import recording, slurm
from transfusion_cli.cli.config.before_training import check_kinds, check_monitors, check_trainer
from transfusion_cli.cli.config.config_file import ConfigFile
from transfusion_cli.cli.config.names import import_all
from transfusion_cli.cli.config.parser import Parser
from transfusion_cli.cli.config.resume import with_checkpoint
from transfusion_cli.cli.config.sources import Sources
from transfusion_cli.comparison.external import beside_own
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.run_split import Authority, RunSplit
from transfusion_cli.datasets.external import ExternalData
from transfusion_cli.errors import ALONE, Fault, Stopped, UserError
from transfusion_cli.inspection.depth import depth_remark
from transfusion_cli.inspection.missing import missing_remark
from transfusion_cli.metrics.monitor import MONITOR
from transfusion_cli.metrics.time_to_event import direction
from transfusion_cli.reports.open_folder import OpenFolder, check_name
from transfusion_cli.reports.summary import summary
from transfusion_cli.run_folder import ROOT, RunFolder
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.early_stopping import PhaseEarlyStopping
from transfusion_cli.tasks.steps_to_target import StepsToTarget
from transfusion_cli.training.interruption import Interruption
from transfusion_cli.training.run_checkpoint import RunCheckpoint
from transfusion_cli.training.together import Together
from transfusion_cli.training.trainer import Trainer
from transfusion_cli.trust import check_classes, foreign_packages
from transfusion_cli.versions import free_path

log = logging.getLogger(__name__)

CHECKPOINT = {
    "monitor": MONITOR,
    "mode": direction(MONITOR),
    "filename": "best",
    "save_last": True,
    "auto_insert_metric_name": False,
    "enable_version_counter": False,  # a better checkpoint replaces best.ckpt, which keeps its name
}
"""Defaults of the ``checkpoint`` section."""

AUTHORITY = (
    "Whose split counts where --ckpt_path names a run: that of the run (new samples are left out), or that of the "
    "data, if no sample to be evaluated was trained on, or (data_unchecked) in any case."
)

EVALUATE = (
    "A run may be named first, in place of --ckpt_path of its best checkpoint: its folder, the folder above (the "
    "newest of that name), or its latest."
)
BY_RUN = {
    "fit": "--resume RUN goes on with a run, in place of --ckpt_path of its last checkpoint.",
    "test": f"{EVALUATE} --label_map MAP, a YAML file or '{{Theirs: Ours}}', tests on other data, --data OTHER.",
    "predict": f"{EVALUATE} --input FILE or FOLDER predicts images without labels, read as the run read its own.",
}
"""What the keys of a verb do not tell."""

OUTPUT = "Folder to write results and predictions to; that of the run when null. Files that are there stay."

LINKED = {
    "--data.seed": "--seed_everything",
    "--model.seed": "--seed_everything",
    "--model.target": "the data",
    "--model.class_names": "the data",
    "--model.dims": "the data",
    "--model.regions": "the data",
    "--model.image_size": "--data.image_size",
}
"""Keys that one part of the config tells another, and from where."""


def seed(value: int | str | bool) -> int:
    """A seed; ``true`` draws one, which the run then records and its other processes inherit."""
    if value not in (True, "true", "True"):
        number = int(value)
        if not 0 <= number < 2**32:
            raise ValueError
        return number
    inherited = os.environ.get("PL_GLOBAL_SEED") if "LOCAL_RANK" in os.environ else None
    return int(inherited or random.SystemRandom().randrange(2**32))


def sides(image_size: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
    """One side, or height and width, for architectures that fix their input; none of those takes volumes."""
    if isinstance(image_size, tuple | list):
        return tuple(image_size) if len(image_size) == 2 else max(image_size)
    return image_size


class TransfusionCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict``, each with the whole configuration as flags.

    Args:
        args: verb and flags.
    """

    records = True
    """Whether the run gets a folder."""

    folder: OpenFolder | None = None
    trainer: Trainer

    def __init__(self, args: list[str]) -> None:
        import_all()
        verb, *flags = args
        self.sources = Sources(list(flags))
        try:
            super().__init__(
                TransferTask,
                MedicalDataModule,
                trainer_class=Trainer,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                auto_configure_optimizers=False,
                parser_class=Parser,
                parser_kwargs={"prog": "transfusion"},
                args=[verb, *with_checkpoint(verb, flags)],
            )
        except BaseException:
            if self.folder is not None:
                self.folder.discard()
            raise

    # --- the keys -------------------------------------------------------------------------------------------

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser whose ``--config`` knows ``extends`` and the shipped configs."""
        parser = Parser(allow_abbrev=False, **kwargs)
        parser.sources = self.sources
        parser.add_argument("-c", "--config", action=ConfigFile, help="A YAML file, or the name of a shipped config.")
        return parser

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The keys that belong to no class."""
        add = parser.add_argument
        add("--name", type=str | None, default=None, help="Name of the run; the config file's name when null.")
        add("--root", type=str, default=str(ROOT), help="Folder that holds the run folders.")
        add("--seed_everything", type=seed, default=42, help="Seed of all random draws; true draws one.")
        add("--split", type=Authority, default="run", help=AUTHORITY)
        add("--test_after_fit", type=bool, default=False, help="Whether fit ends with a test of its best checkpoint.")

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Sections for callbacks, and what one part of the config tells another."""
        parser.set_defaults({"model": {"class_path": "ClassificationTask"}})
        parser.set_defaults({"trainer.enable_model_summary": False})  # the audit says more
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.set_defaults({f"checkpoint.{key}": value for key, value in CHECKPOINT.items()})
        for section, kind in {"early_stopping": PhaseEarlyStopping, "steps_to_target": StepsToTarget}.items():
            parser.add_subclass_arguments(kind, section, required=False, default=None)
            parser.callback_keys.append(section)
        for key, source in LINKED.items():
            section, name = key.removeprefix("--").split(".")
            match source:
                case "the data":
                    parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")
                case "--data.image_size":
                    parser.link_arguments("data.init_args.image_size", "model.init_args.image_size", compute_fn=sides)
                case _:
                    parser.link_arguments("seed_everything", f"{section}.init_args.{name}")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser.description = f"{(parser.description or '').rstrip(': ')}. {BY_RUN.get(subcommand, EVALUATE)}"
        parser.set_defaults(weights_only=True)  # a checkpoint is data; nothing in it may run
        if subcommand == "test":
            parser.set_defaults(verbose=False)  # our own table has intervals
        if subcommand != "fit":
            parser.add_argument("--output", type=str | None, default=None, help=OUTPUT)
        return parser

    # --- reading them ---------------------------------------------------------------------------------------

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, and name the run after its config where it has no name.

        Raises:
            UserError: for a flag that would be overruled in silence, because another part of the config decides it.
        """
        for flag in (arg.partition("=")[0].replace(".init_args.", ".") for arg in args):
            if flag in LINKED:
                raise UserError(f"{flag} cannot be set: it follows {LINKED[flag]}.")
        self.config = parser.parse_args(args)
        check_classes(self.config)
        own = self.own
        if own.get("checkpoint.monitor") == MONITOR and not self.sources.locate(MONITOR):
            own["checkpoint.monitor"] = getattr(locate(own["model.class_path"]), "monitor", MONITOR)
        if self.config.subcommand == "fit" and own.get("checkpoint.dirpath") is not None:
            raise UserError(
                f"checkpoint.dirpath cannot be set{self.sources.locate('dirpath')}.\n"
                "Checkpoints lie in the run's folder, where their config and split are found.\n"
                "To have whole runs elsewhere: --root FOLDER"
            )
        if own.name is None:
            named = [path.stem for path in self.sources.configs]
            own.name = named[-1] if named else "default"
        check_name(own.name)
        if self.records and self.config.subcommand == "fit" and own.ckpt_path is None:
            begun = slurm.begun_run(Path(own.root), own.name)
            if begun is not None:
                log.info("This job was requeued: it goes on in %s", begun)
                self.config = parser.parse_args(["fit", *with_checkpoint("fit", ["--ckpt_path", str(begun.last)])])

    def _parse_ckpt_path(self) -> None:
        """Lightning lets the checkpoint's hyper-parameters win; ours came before the configs (``with_checkpoint``)."""

    @property
    def own(self) -> Namespace:
        """The parsed configuration of the verb."""
        own: Namespace = self.config[self.config.subcommand]
        return own

    @property
    def trust(self) -> str:
        """What later commands on this run need, because it names modules of the user's own."""
        return "".join(f" --trust {name}" for name in foreign_packages(self.own))

    def saved_config(self) -> str:
        """The whole resolved configuration as YAML, which any verb reads again."""
        fresh = Namespace({**vars(self.own), "ckpt_path": None})  # what it resumed from is no part of what it is
        return str(self._parser(self.config.subcommand).dump(fresh, skip_unset=False))

    # --- running --------------------------------------------------------------------------------------------

    def instantiate_classes(self) -> None:
        """Build everything, and let the data follow the split of the run."""
        check_kinds(*(locate(self.own[f"{part}.class_path"]) for part in ("data", "model")))
        super().instantiate_classes()
        follow(self.datamodule, self.own.ckpt_path, self.own.split)
        if self.config.subcommand == "fit" and self.own.ckpt_path and self.own.split != "run":
            raise UserError(f"fit --ckpt_path goes on with the split of the run.\nLeave out --split {self.own.split}.")

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Any:
        if self.records:
            callbacks += recording.progress(config)
        if self.config.subcommand == "fit":
            check_trainer(config, self.sources)
            given = config["callbacks"] or []
            given = given if isinstance(given, list) else [given]
            check_monitors(self.model, [c for c in (*given, *callbacks) if c is not None], self.sources)
        if self.records and not config["fast_dev_run"]:
            self.folder = self._place()
            self.folder.share()
            callbacks += recording.recorders(self.folder, self.saved_config(), self.own.seed_everything)
            recording.settle(callbacks, self.folder)
            if config["logger"] in (None, True):
                of_own = self.config.subcommand != "validate" or self.own.output
                config["logger"] = recording.loggers(self.folder, self.config.subcommand) if of_own else False
        try:
            trainer = super()._instantiate_trainer(config, [c for c in callbacks if wanted(c, config)])
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise UserError("\n".join(str(error).splitlines()[:3])) from error
        if isinstance(trainer.strategy.launcher, Together):
            trainer.strategy.launcher.lost = self._lost
        return trainer

    def _place(self) -> OpenFolder:
        """Where the run writes: a folder of its own, that of the run it goes on with or evaluates, or ``--output``."""
        own, trains = self.own, self.config.subcommand == "fit"
        folder = OpenFolder.holding(own.ckpt_path)
        if folder is not None and not own.get("output") and isinstance(self.datamodule, ExternalData):
            own["output"] = str(free_path(folder.path / f"external_{self.datamodule.name}"))
        if output := own.get("output"):
            folder = OpenFolder(Path(output).expanduser())
        # Going on from any other checkpoint than the last would write over what the run did after it.
        elif folder is None or (trains and Path(own.ckpt_path).name != folder.last.name):
            folder = OpenFolder.create(own.name, Path(own.root))
        if self.config.subcommand != "validate" or output:  # which else leaves nothing but what it prints
            folder.require_writable("" if trains else "Give another folder: --output DIR")
            folder.refuse_links()
        if trains:
            folder.occupy()
        return folder

    def _run_subcommand(self, subcommand: str) -> None:
        if subcommand != "fit" and self.own.ckpt_path is None:
            log.warning("No --ckpt_path: the weights are evaluated as they are before any training.")
        try:
            super()._run_subcommand(subcommand)
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, MisconfigurationException):
                raise UserError("\n".join(str(error).splitlines()[:3])) from error
            if subcommand == "fit" and self.last is not None:
                if isinstance(error, Fault):
                    error.next = f"resume with: {self.resume}"
                elif not isinstance(error, UserError):
                    error.add_note(f"Resume with: {self.resume}")
                if isinstance(error, Stopped) and self.trainer.is_global_zero and (told := slurm.requeue(error.number)):
                    error.add_note(f"SLURM: {told}.")
            raise
        finally:
            if self.folder is not None and self.trainer.is_global_zero:
                self.folder.refresh()

    @property
    def last(self) -> Path | None:
        """The checkpoint to go on from, if the run has written one."""
        return self.folder.last if self.folder is not None and self.folder.last.is_file() else None

    @property
    def resume(self) -> str:
        """The command that goes on with this run."""
        return f"transfusion fit --ckpt_path {shlex.quote(str(self.last))}{self.trust}"

    def _lost(self) -> str:
        fault = Fault(*ALONE)
        if self.config.subcommand == "fit" and self.last is not None:
            fault.next = f"resume with: {self.resume}"
        return str(fault)

    def before_fit(self) -> None:
        """Read the table of samples, whose mistakes are the likeliest, then say what is about to train."""
        if not getattr(self.datamodule, "download", False):
            look_at(self.datamodule)
        if not self.model.built and self.own.ckpt_path is None:
            self.model.build()
            log.info("%s", self.model.audit())

    def after_fit(self) -> None:
        """Keep what the best epoch changed, test it where the config asks for that, and say where everything lies."""
        kept = self.trainer.kept_checkpoint
        if self.folder is None or not kept:
            return
        best = recording.keep_delta(self.trainer, self.model, self.folder)
        table = ""
        if self.own.test_after_fit:
            self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path=kept, verbose=False)
            table = recording.table(self.trainer)
        if self.trainer.is_global_zero:
            files = not (self.model.dims == 3 and self.model.learns == "labels")  # GivenImages reads no volumes
            print(f"\n{summary(self.folder, best, self.model.audit(), table, self.trust, files)}")

    def after_predict(self) -> None:
        """Say where the predictions are."""
        if self.trainer.is_global_zero and (written := recording.written(self.trainer)):
            print(f"\nWritten to {written[-1]}")

    def after_test(self) -> None:
        """Show the results with their intervals."""
        if self.trainer.is_global_zero and (table := recording.table(self.trainer)):
            run = RunFolder.holding(self.own.ckpt_path)
            if isinstance(self.datamodule, ExternalData) and run is not None and self.folder is not None:
                table = f"{table}\n\n{beside_own(run, self.folder)}"
            print(f"\n{table}\n\nWritten to {self.folder.path if self.folder else ''}/")


def look_at(data: MedicalDataModule) -> None:
    """See that the images are there, and have the depth that they seem to have.

    Raises:
        UserError: images are missing.
    """
    if data.cache is None and (missing := missing_remark(data)) is not None:
        raise UserError(missing)
    if (odd := depth_remark(data)) is not None:
        log.warning("%s", odd)


def follow(data: MedicalDataModule, ckpt_path: str | Path | None, authority: Authority) -> None:
    """Let a data module know split and preprocessing of a checkpoint's run, where they lie beside it."""
    split = RunFolder.split_of(ckpt_path)
    data.authority = authority
    data.run_split = None if split is None else RunSplit.read(split)
    made = RunFolder.preprocessing_of(ckpt_path)
    if made is not None and isinstance(data, MaskDataModule):
        data.preprocessing = json.loads(made.read_text(encoding="utf-8"))


def wanted(callback: Callback | None, config: dict[str, Any]) -> bool:
    """Whether a callback goes with the trainer's options: Lightning refuses those for what is turned off."""
    if isinstance(callback, Checkpoint | Interruption):
        return config["enable_checkpointing"] is not False
    if isinstance(callback, LearningRateMonitor):
        return config["logger"] is not False
    return callback is not None
