"""The LightningModule that carries a transfer strategy through its phases."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.monitor import MONITOR
from transfusion_cli.metrics.records import Records, RecordTable
from transfusion_cli.models.facts import normalisation
from transfusion_cli.strategies.audit import audit
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.composed import as_strategy
from transfusion_cli.strategies.freezing import set_modes, start_phase
from transfusion_cli.strategies.full_fine_tuning import FullFineTuning
from transfusion_cli.strategies.plan import Phase
from transfusion_cli.tasks.accumulation import validate_between_steps
from transfusion_cli.tasks.global_loss import GlobalLoss
from transfusion_cli.tasks.head_inputs import HeadInputs
from transfusion_cli.tasks.loss_watch import LossWatch
from transfusion_cli.tasks.network import Recipe, Transferred
from transfusion_cli.tasks.normalised import normalised
from transfusion_cli.tasks.optimisation import Optimisation
from transfusion_cli.tasks.running_statistics import RunningStatistics
from transfusion_cli.tasks.weight_average import WeightAverage

CHECKPOINT_KEY = "transfusion"
"""Where a checkpoint keeps what Lightning's own entries do not: base weights, plan, phase, metrics."""


class TransferTask(pl.LightningModule):
    """A network, its transfer strategy and the phases of its training.

    A kind of task says how many outputs the head has (``num_outputs``), what its ``loss`` is, what to keep of each case
    (``record``) and what the metrics of all are (``evaluate``). The network is built when a trainer first needs it
    (``build``): from the pretrained weights for a new run, from the checkpoint alone for a resumed or evaluated one.

    Args:
        backbone: any timm model name.
        transfer: the transfer strategy, or a list of strategies applied in order.
        pretrained: true for timm's weights of that name, a path to a weights file (.safetensors, .pth, .th, .ckpt), or
            false for none.
        in_chans: input channels of the network; grey images are repeated to fill them.
        dropout: dropout before the head, a probability.
        optimizer: torch optimizer; scale, shift and biases are kept free of its weight decay.
        lr_scheduler: learning-rate schedule, stepped each epoch (WarmupCosine each step, ReduceLROnPlateau after
            each validation); starts afresh in each phase.
        image_size: side of the input in pixels, or height and width, for the architectures that fix it (ViT); follows
            the data.
        backbone_args: further arguments of the timm model, such as ``drop_path_rate``.
        dims: axes of the images, 2, or 3 for volumes; follows the data.
        inflate: how weights of images enter a network for volumes: ``centre`` puts each kernel into the middle slice,
            which leaves the network what it was slice by slice; ``mean`` spreads it over the slices; ``acs`` deals its
            filters to the three planes.
        seed: seed of every random draw of the network; follows ``seed_everything``.
        ema: decay of a moving average of the weights (0.999), which is then what is evaluated and kept; null for none.
    """

    network: nn.Module
    transferred: Transferred
    mean: Tensor
    std: Tensor
    learns: ClassVar[Literal["labels", "masks"] | None] = None  # which data it is for, where that matters
    monitor: ClassVar[str] = MONITOR  # what says which epoch is the best, unless the config does
    metric_names: frozenset[str] | None = None  # all that it logs in training and validation, where that is known

    def __init__(
        self,
        backbone: str = "resnet50",
        transfer: TransferStrategy | list[TransferStrategy] | None = None,
        pretrained: bool | str = True,
        in_chans: int = 3,
        dropout: float = 0.0,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        image_size: int | tuple[int, int] | None = None,
        backbone_args: dict[str, Any] | None = None,
        seed: int = 42,
        dims: Literal[2, 3] = 2,
        inflate: Literal["centre", "mean", "acs"] = "centre",
        ema: float | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.transfer = as_strategy(FullFineTuning() if transfer is None else transfer)
        self.pretrained = pretrained
        self.in_chans = in_chans
        self.dropout = dropout
        self.image_size = image_size
        self.backbone_args = backbone_args or {}
        self.seed = seed
        self.dims = dims
        self.inflate = inflate
        self.averages = [] if ema is None else [WeightAverage(ema)]
        self.phase_index = 0
        self.phase_start_epoch = self.phase_start_step = 0
        self.running_statistics = RunningStatistics()
        self.loss_watch = LossWatch()
        self.global_loss = GlobalLoss()
        self.head_inputs = HeadInputs()
        self.shown: dict[str, float | Tensor] = {}
        self.split: str | None = None  # hash of the split that it was trained on
        self.evaluation: Evaluation | None = None
        self.validation_metrics: dict[str, float] = {}
        self.optimisation = Optimisation(optimizer, lr_scheduler)

    # --- what a kind of task says ---------------------------------------------------------------------------

    loss: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    """Summed loss and summed weight of a batch, from the outputs of the network and the targets."""

    records: Records
    """Gathers what ``record`` gives."""

    recipe: type[Recipe] = Recipe
    """What makes the network."""

    headline: tuple[str, ...] = ("loss",)
    """Validation metrics to show while training."""

    @property
    def num_outputs(self) -> int:
        """Outputs of the head."""
        raise NotImplementedError

    def record(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What is to be kept of a batch that is evaluated: a tensor (B, ...) for each column of ``records``."""
        raise NotImplementedError

    def evaluate(self, table: RecordTable) -> Evaluation:
        """The evaluation of a whole split from the records of its cases."""
        raise NotImplementedError

    def captions(self, target: Tensor) -> list[str]:
        """What the cases of a batch are labelled with, for people."""
        return [""] * len(target)

    # --- building -------------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the network exists yet."""
        return "network" in self._modules

    @property
    def input_size(self) -> tuple[int, ...]:
        """(C, H, W) of its images, (C, D, H, W) of volumes; follows the weights, and the data follow it."""
        return self.transferred.input_size

    def build(self, description: dict[str, Any] | None = None, with_base: bool = False) -> None:
        """Create the network and plan its training, where that was not done yet; see ``Recipe.make``."""
        if self.built:
            return
        self.transferred = self.recipe.of(self).make(self.transfer, description, with_base)
        self.network = self.transferred.network
        mean, std = normalisation(self.network)
        # Persistent: a checkpoint must normalise as its weights expect, whatever becomes of their file.
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, *[1] * self.dims))
        self.register_buffer("std", torch.tensor(std).view(1, -1, *[1] * self.dims))
        self.start_phase(0)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: Any = "cpu",
        hparams_file: None = None,
        strict: bool | None = None,
        weights_only: bool | None = True,
        trust: Iterable[str] = (),
        **kwargs: Any,
    ) -> Self:
        """The task of a checkpoint, with its weights, in evaluation mode.

        Lightning's own method would import and call whatever the checkpoint names. This one reads it as data:
        strategies must be of this package, optimizer and schedule are not built at all.

        Args:
            checkpoint_path: a full checkpoint of this program, or a delta in its run folder.
            map_location: device of the weights.
            hparams_file: not used; the arguments are in the checkpoint.
            strict: not used; the weights always have to fit.
            weights_only: not used; pickled code is never read.
            trust: modules of your own that the checkpoint may name.
            kwargs: arguments in place of the saved ones.

        Raises:
            UserError: the file is no such checkpoint, or names what is not trusted.
        """
        from transfusion_cli.tasks.restore import restore

        task = restore(checkpoint_path, trust, None if cls is TransferTask else cls, **kwargs)
        return task.to(map_location or "cpu").eval()  # type: ignore[return-value]

    def audit(self) -> str:
        """A table of what trains, phase by phase."""
        return audit(self.network, self.plan, self.transferred.parts)

    def configure_model(self) -> None:
        """Build the network for a trainer that has not done so."""
        if self._trainer is not None:
            self.build()
            self.head_inputs.announce(self)

    def configure_callbacks(self) -> list[pl.Callback]:
        """The strategies, so that their training hooks run, and what averages the weights that they make."""
        attached = {id(callback) for callback in self.trainer.callbacks}  # type: ignore[attr-defined]
        return [each for each in (*self.transfer.strategies, *self.averages) if id(each) not in attached]

    # --- phases ---------------------------------------------------------------------------------------------

    @property
    def plan(self) -> list[Phase]:
        """The phases of the training."""
        return self.transferred.plan

    @property
    def phase(self) -> Phase:
        """The current phase of the plan."""
        return self.plan[self.phase_index]

    def start_phase(self, index: int, epoch: int = 0, step: int = 0) -> None:
        """Make phase ``index`` of the plan the current one, started in epoch ``epoch`` and step ``step`` of the run."""
        self.phase_index = index
        self.phase_start_epoch = epoch
        self.phase_start_step = step
        self.optimisation.start_phase()
        start_phase(self.network, self.phase)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of every module; in training, frozen parts stay in evaluation mode."""
        super().train(mode)
        if mode and self.built:
            set_modes(self.network, self.phase, self.transferred.parts)
        return self

    def on_fit_start(self) -> None:
        """Note what it is trained on; compute features where the head alone needs them."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if data is not None:
            self.split = data.run_split.sha256 if data.follows_run else data.split_hash
        self.head_inputs.begin(self, self._input_of)

    def on_train_start(self) -> None:
        """Take up changed optimizer options; re-estimate BatchNorm statistics where the plan says so, once in a run."""
        schedules = [config.scheduler for config in self.trainer.lr_scheduler_configs]
        self.optimisation.take_up_changes(self.trainer.optimizers[0], schedules)
        self.running_statistics.begin(self, self.transferred, self.phase, self._input_of)
        validate_between_steps(self.trainer)
        self.train()

    def on_train_epoch_start(self) -> None:
        """Put frozen parts into evaluation mode again, whatever happened since the last epoch."""
        self.train()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Tie dropout to seed and step, so that a resumed run draws what the uninterrupted one drew."""
        step = self.trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(((self.seed * 1_000_003 + step) * 4_099 + self.global_rank) % 2**63)
        self.running_statistics.remember()

    def on_after_backward(self) -> None:
        """See to running statistics."""
        self.running_statistics.repair()

    # --- input ----------------------------------------------------------------------------------------------

    def forward(self, image: Tensor) -> Tensor:
        """Logits of normalised images.

        Args:
            image: (B, C, H, W) or (B, C, D, H, W), normalised (see ``normalise``).
        """
        logits: Tensor = self.network(image)
        return logits

    def normalise(self, image: Tensor) -> Tensor:
        """Images as the pretrained weights expect them, see ``normalised``."""
        return normalised(image, self.mean, self.std)

    def _input_of(self, batch: dict[str, Tensor]) -> Tensor:
        return self.normalise(batch["image"].to(self.device))

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Normalise on the device, so that workers send bytes."""
        return batch if "features" in batch else {**batch, "image": self.normalise(batch["image"])}

    # --- steps ----------------------------------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """This process's share of the loss of all samples of the optimizer step, which is logged.

        Nothing that is logged here is reduced later on: who reads it may do so in one process alone.
        """
        outputs = self.head_inputs.outputs(self, batch)
        total, weight = self.loss(outputs, batch["target"])
        penalty = self.transfer.regularize(self.network, batch, outputs)
        share = self.global_loss.share(self.trainer, batch_idx, total, weight, penalty, len(batch["target"]))
        loss = self.global_loss.of_step
        self.loss_watch.note(self.trainer, loss)
        self.shown["train/loss"] = loss
        self.log("train/loss_step", loss, on_step=True, on_epoch=False)
        return share

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Keep what the metrics of the whole split need."""
        self.records.update(batch["index"], **self.record(batch))

    test_step = predict_step = validation_step

    def _evaluate(self) -> Evaluation:
        self.evaluation = self.evaluate(self.records.compute())
        self.records.reset()
        return self.evaluation

    def on_validation_epoch_end(self) -> None:
        """Metrics of the whole validation split; equal on every process."""
        metrics = {f"val/{name}": value for name, value in self._evaluate().metrics.items()}
        self.shown |= {f"val/{name}": metrics[f"val/{name}"] for name in self.headline if f"val/{name}" in metrics}
        self.log_dict(metrics)
        if not self.trainer.sanity_checking:
            self.validation_metrics = metrics
            self.optimisation.step_plateau(metrics)

    def on_test_epoch_end(self) -> None:
        """Metrics of the whole test split; equal on every process."""
        self.log_dict({f"test/{name}": value for name, value in self._evaluate().metrics.items()})

    def on_predict_epoch_end(self) -> None:
        """Gather the predictions of all processes."""
        self._evaluate()

    # --- optimisation ---------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """A fresh optimizer that holds exactly the phase's parameters, in named groups."""
        return self.optimisation.configure(
            self.transferred,
            self.phase,
            steps=lambda: int(self.trainer.estimated_stepping_batches) - self.phase_start_step,
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make gradients over several batches those of one mean."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.global_loss.correct(parameters, self.trainer.accumulate_grad_batches)

    def on_train_epoch_end(self) -> None:
        """See that the whole epoch was finite, and log its mean loss."""
        self.loss_watch.check(self.trainer, self.network)
        self.shown["train/loss"] = self.global_loss.end_epoch()
        self.log("train/loss_epoch", self.shown["train/loss"], on_epoch=True)

    def on_validation_start(self) -> None:
        """See that what is validated, and then saved, is finite."""
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self.loss_watch.check(self.trainer, self.network)

    # --- checkpoints ----------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """What any checkpoint of this task, full or delta, says about its network, as plain data."""
        size, carried = list(self.input_size), sorted(self.transferred.carried)
        own: dict[str, Any] = {"backbone": self.backbone, "input_size": size, "carried": carried, "split": self.split}
        if self.transferred.source_classes:
            own["source_classes"] = self.transferred.source_classes
        return own | {"metrics": self.validation_metrics}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs: base weights, plan and phase."""
        self.loss_watch.check(self.trainer, self.network)
        for average in self.averages:
            average.save(checkpoint)
        checkpoint[CHECKPOINT_KEY] = self.describe() | {
            "base": self.transferred.base.to_dict(),
            "phases": [phase.name for phase in self.plan],
            "phase": self.phase_index,
            "phase_start": (self.phase_start_epoch, self.phase_start_step),
            "reestimated": self.running_statistics.reestimated,
            "epoch_loss": self.global_loss.state(),
            **self.optimisation.state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the network that the checkpoint's weights fit, and return to its phase."""
        own = checkpoint[CHECKPOINT_KEY]
        self.build(own)
        self.split, self.validation_metrics = own.get("split"), own["metrics"]
        self.running_statistics.reestimated = own["reestimated"]
        self.optimisation.restore(own)
        self.global_loss.restore(own.get("epoch_loss", [0.0, 0.0]))
