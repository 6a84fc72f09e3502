"""The LightningModule that carries a transfer strategy through its phases."""

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.backbone_args import checked_backbone_args
from transfusion_cli.models.base_weights import BaseWeights
from transfusion_cli.models.batch_norm import GROUP, batch_norm_layers, reestimate_statistics
from transfusion_cli.models.facts import head_names, input_size, normalisation
from transfusion_cli.models.full_precision import FullPrecision
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.weights_report import WeightsReport
from transfusion_cli.strategies.audit import audit
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.composed import as_strategy
from transfusion_cli.strategies.freezing import set_modes, start_phase
from transfusion_cli.strategies.full_fine_tuning import FullFineTuning
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase, check_plan
from transfusion_cli.strategies.statistics_guard import StatisticsGuard
from transfusion_cli.tasks.global_loss import GlobalLoss
from transfusion_cli.tasks.loss_watch import LossWatch
from transfusion_cli.tasks.optimisation import Optimisation
from transfusion_cli.tasks.spread import validate_between_steps

CHECKPOINT_KEY = "transfusion"
"""Where a checkpoint keeps what Lightning's own entries do not: base weights, plan, phase, metrics."""


class TransferTask(pl.LightningModule):
    """A network, its transfer strategy and the phases of its training.

    Subclasses say how many outputs the head has (``num_outputs``) and what a step does. The network is built
    when a trainer first needs it (``build``): from the pretrained weights for a new run, from the checkpoint
    alone for a resumed or evaluated one.

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
        image_size: side of the input in pixels, for the architectures that fix it (ViT); follows the data.
        backbone_args: further arguments of the timm model, such as ``drop_path_rate``.
        seed: seed of every random draw of the network; follows ``seed_everything``.
    """

    network: nn.Module
    mean: Tensor
    std: Tensor
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
        image_size: int | None = None,
        backbone_args: dict[str, Any] | None = None,
        seed: int = 42,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.transfer = as_strategy(FullFineTuning() if transfer is None else transfer)
        self.pretrained = pretrained
        self.in_chans = in_chans
        self.dropout = dropout
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.image_size = image_size
        self.backbone_args = backbone_args or {}
        self.seed = seed
        self.phase_index = 0
        self.phase_start_epoch = self.phase_start_step = 0
        self.reestimated = False
        self._guard: StatisticsGuard | None = None
        self.loss_watch = LossWatch()
        self.global_loss = GlobalLoss()
        self.shown: dict[str, float | Tensor] = {}
        self.split: str | None = None  # hash of the split that it was trained on
        self.optimisation = Optimisation(optimizer, lr_scheduler)

    # --- building -------------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the network exists yet."""
        return "network" in self._modules

    @property
    def num_outputs(self) -> int:
        """Outputs of the head."""
        raise NotImplementedError

    def build(self, description: dict[str, Any] | None = None, with_base: bool = False) -> None:
        """Create the network and plan its training.

        Args:
            description: what a checkpoint says about its network; the network is then built to receive the
                checkpoint's weights, without reading the pretrained ones. None starts a new run.
            with_base: read the pretrained weights all the same, as the ground of a delta checkpoint.
        """
        if description is None or with_base:
            network, self.weights_report = self._create(self.pretrained)
            self.base = BaseWeights.of(network.state_dict(), self.weights_report)
        else:
            network, self.weights_report = self._create(pretrained=False)
            self.base = BaseWeights.from_dict(description["base"])
        self.input_size = tuple(description["input_size"]) if description else input_size(network)
        if description is None:
            network = self._initialised(network)
            state = network.state_dict()
            self.carried = frozenset(self.base.unchanged(state))
        else:
            self.carried = frozenset(description["carried"])
        layers = batch_norm_layers(network)
        kept = [layer for name, layer in layers.items() if f"{name}.running_mean" in self.carried]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # new layers start from the run's seed, whatever was drawn before
            self.transfer.adapt(network, self.carried)
        for name in head_names(network):
            FullPrecision(network.get_submodule(name))
        self.network = network
        self.parts = NetworkParts.of(network, kept)
        self.plan = check_plan(self.transfer.select(self.parts), self.parts)
        mean, std = normalisation(network)
        # Persistent: a checkpoint must normalise as its weights expect, whatever becomes of their file.
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.start_phase(0)

    def _create(self, pretrained: bool | str) -> tuple[nn.Module, WeightsReport]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build_network(
                self.backbone,
                num_outputs=self.num_outputs,
                in_chans=self.in_chans,
                pretrained=pretrained,
                drop_rate=self.dropout,
                image_size=self.image_size,
                **checked_backbone_args(self.backbone_args),
            )

    def _initialised(self, loaded: nn.Module) -> nn.Module:
        """A network with the strategy's choice of the weights of ``loaded``."""
        state = loaded.state_dict()
        source = {name: state[name] for name in self.base.tensors}
        network, _ = self._create(pretrained=False)
        network.pretrained_cfg = loaded.pretrained_cfg
        self.transfer.initialize(network, source, torch.Generator().manual_seed(self.seed))
        return network

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
        return audit(self.network, self.plan, self.parts)

    def configure_model(self) -> None:
        """Build the network for a trainer that has not done so."""
        if not self.built and self._trainer is not None:
            self.build()

    def configure_callbacks(self) -> list[pl.Callback]:
        """The strategies, so that their training hooks run."""
        attached = {id(callback) for callback in self.trainer.callbacks}  # type: ignore[attr-defined]
        return [strategy for strategy in self.transfer.strategies if id(strategy) not in attached]

    # --- phases ---------------------------------------------------------------------------------------------

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

    def train(self, mode: bool = True) -> "TransferTask":
        """Set the mode of every module; in training, frozen parts stay in evaluation mode."""
        super().train(mode)
        if mode and self.built:
            set_modes(self.network, self.phase, self.parts)
        return self

    def on_fit_start(self) -> None:
        """Note what it is trained on."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if data is not None:
            self.split = data.run_split.sha256 if data.follows_run else data.split_hash

    def on_train_start(self) -> None:
        """Take up changed optimizer options; re-estimate BatchNorm statistics where the plan says so, once in a run."""
        schedules = [config.scheduler for config in self.trainer.lr_scheduler_configs]
        self.optimisation.take_up_changes(self.trainer.optimizers[0], schedules)
        if self.phase.statistics == "reestimate" and not self.reestimated:
            self._reestimate()
        half = "16" in str(self.trainer.precision) and self.phase.moving(self.parts)
        self._guard = StatisticsGuard(self.network) if half else None
        validate_between_steps(self.trainer)
        self.train()

    def _reestimate(self) -> None:
        loader = self.trainer.datamodule.statistics_dataloader(GROUP)  # type: ignore[attr-defined]
        images = (self.normalise(batch["image"].to(self.device)) for batch in loader)
        sync: Any = getattr(self.trainer, "layer_sync", None)
        with nullcontext() if sync is None else sync.suspended(self):  # processes have groups of their own
            reestimate_statistics(self.network, images, all_reduce=self.sum_over_processes)
        self.reestimated = True

    def sum_over_processes(self, tensor: Tensor) -> Tensor:
        """The sum of ``tensor`` over all processes, which all of them have to ask for."""
        if self.trainer.world_size == 1:
            return tensor
        total = tensor.clone()
        torch.distributed.all_reduce(total)  # Lightning's own would have all processes meet first
        return total

    def on_train_epoch_start(self) -> None:
        """Put frozen parts into evaluation mode again, whatever happened since the last epoch."""
        self.train()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Tie dropout to seed and step, so that a resumed run draws what the uninterrupted one drew."""
        step = self.trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(((self.seed * 1_000_003 + step) * 4_099 + self.global_rank) % 2**63)
        if self._guard is not None:
            self._guard.remember()

    def on_after_backward(self) -> None:
        """Undo what an overflowing half-precision batch wrote into running statistics; the backward pass needs them."""
        if self._guard is not None:
            self._guard.repair()

    # --- input ----------------------------------------------------------------------------------------------

    def forward(self, image: Tensor) -> Tensor:
        """Logits of normalised images.

        Args:
            image: (B, C, H, W), normalised (see ``normalise``).
        """
        return self.network(image)

    def normalise(self, image: Tensor) -> Tensor:
        """Images as the pretrained weights expect them.

        Args:
            image: (B, C, H, W), uint8 in 0..255 or float in 0..1; one channel is repeated to ``in_chans``.

        Raises:
            UserError: when the images have other channels than the network.
        """
        image = image.to(self.mean.dtype) / (255 if image.dtype == torch.uint8 else 1)
        if image.shape[1] == 1 and self.in_chans > 1:
            image = image.expand(-1, self.in_chans, -1, -1)
        if image.shape[1] != self.in_chans:
            raise UserError(
                f"The images have {image.shape[1]} channels and the network takes {self.in_chans}.\n"
                f"Set --model.in_chans {image.shape[1]}."
            )
        return (image - self.mean) / self.std

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Normalise on the device, so that workers send bytes."""
        return {**batch, "image": self.normalise(batch["image"])}

    # --- optimisation ---------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """A fresh optimizer that holds exactly the phase's parameters, in named groups."""
        return self.optimisation.configure(self)

    def backward_share(self, batch_idx: int, total: Tensor, weight: Tensor, penalty: Tensor | None, n: int) -> Tensor:
        """What a training step returns: this process's share of the loss of all samples of the optimizer step.

        Logs that loss. Nothing that is logged here is reduced later on: who reads it may do so in one process alone.

        Args:
            batch_idx: number of the batch in its epoch.
            total: summed loss of this process's samples.
            weight: their summed weight.
            penalty: the term of ``transfer.regularize``, or None.
            n: number of samples.
        """
        share = self.global_loss.share(self, batch_idx, total, weight, penalty, n)
        loss = self.global_loss.of_step
        self.loss_watch.note(self, loss)
        self.shown["train/loss"] = loss
        self.log("train/loss_step", loss, on_step=True, on_epoch=False)
        return share

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make gradients over several batches those of one mean."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.global_loss.correct(parameters, self.trainer.accumulate_grad_batches)

    def on_train_epoch_end(self) -> None:
        """See that the whole epoch was finite, and log its mean loss."""
        self.loss_watch.check(self)
        self.shown["train/loss"] = self.global_loss.end_epoch()
        self.log("train/loss_epoch", self.shown["train/loss"], on_epoch=True)

    def on_validation_start(self) -> None:
        """See that what is validated, and then saved, is finite."""
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self.loss_watch.check(self)

    # --- checkpoints ----------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """What any checkpoint of this task, full or delta, says about its network, as plain data."""
        size, carried = list(self.input_size), sorted(self.carried)
        return {"backbone": self.backbone, "input_size": size, "carried": carried, "split": self.split}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs: base weights, plan and phase."""
        self.loss_watch.check(self)
        checkpoint[CHECKPOINT_KEY] = self.describe() | {
            "base": self.base.to_dict(),
            "phases": [phase.name for phase in self.plan],
            "phase": self.phase_index,
            "phase_start": (self.phase_start_epoch, self.phase_start_step),
            "reestimated": self.reestimated,
            "epoch_loss": self.global_loss.state(),
            **self.optimisation.state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the network that the checkpoint's weights fit, and return to its phase."""
        if not self.built:
            self.build(checkpoint[CHECKPOINT_KEY])
        own = checkpoint[CHECKPOINT_KEY]
        self.split = own.get("split")
        self.reestimated = own["reestimated"]
        self.optimisation.restore(own)
        self.global_loss.restore(own.get("epoch_loss", [0.0, 0.0]))


def unsaved_arguments() -> list[str]:
    """Arguments that ``save_hyperparameters`` must leave out.

    From the command line Lightning gets them as plain data; objects given in Python cannot be saved safely.
    """
    return [] if _given_hyperparameters.get() is not None else ["transfer", "optimizer", "lr_scheduler"]
