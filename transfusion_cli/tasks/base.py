"""The LightningModule that carries a transfer strategy through its phases."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from transfusion_cli.errors import UserError
from transfusion_cli.models.backbone_args import checked_backbone_args
from transfusion_cli.models.base_weights import BaseWeights
from transfusion_cli.models.batch_norm import reestimate_statistics
from transfusion_cli.models.facts import input_size, normalisation
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.weights_report import WeightsReport
from transfusion_cli.strategies.audit import audit
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.composed import as_strategy
from transfusion_cli.strategies.freezing import set_modes, start_phase
from transfusion_cli.strategies.full_fine_tuning import FullFineTuning
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase, check_plan, parameter_groups
from transfusion_cli.strategies.statistics_guard import StatisticsGuard
from transfusion_cli.tasks.loss_watch import LossWatch
from transfusion_cli.tasks.optimizer_options import apply_changed_options, plain_options
from transfusion_cli.tasks.schedules import WarmupCosine

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
        self.phase_start_epoch = 0
        self.phase_start_step = 0
        self.reestimated = False
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._guard: StatisticsGuard | None = None
        self.loss_watch = LossWatch()
        self._options: list[dict[str, Any]] = []
        self._resumed_options: list[dict[str, Any]] = []

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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # new layers start from the run's seed, whatever was drawn before
            self.transfer.adapt(network, self.carried)
        self.network = network
        self.parts = NetworkParts.of(network)
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
        self._plateau_state = None
        self._resumed_options = []
        start_phase(self.network, self.phase)
        self.train()

    def train(self, mode: bool = True) -> "TransferTask":
        """Set the mode of every module; in training, frozen parts stay in evaluation mode."""
        super().train(mode)
        if mode and self.built:
            set_modes(self.network, self.phase, self.parts)
        return self

    def on_train_start(self) -> None:
        """Take up changed optimizer options; re-estimate BatchNorm statistics where the plan says so, once in a run."""
        schedules = [config.scheduler for config in self.trainer.lr_scheduler_configs]
        apply_changed_options(self.trainer.optimizers[0], schedules, self._resumed_options, self._options)
        self._resumed_options = []
        if self.phase.statistics == "reestimate" and not self.reestimated:
            self._reestimate()
        half = "16" in str(self.trainer.precision) and self.phase.statistics == "update"
        self._guard = StatisticsGuard(self.network) if half else None
        self.train()

    def _reestimate(self) -> None:
        loader = self.trainer.datamodule.statistics_dataloader()  # type: ignore[attr-defined]
        images = (self.normalise(batch["image"].to(self.device)) for batch in loader)
        reestimate_statistics(self.network, images, all_reduce=self.sum_over_processes)
        self.reestimated = True

    def sum_over_processes(self, tensor: Tensor) -> Tensor:
        """The sum of ``tensor`` over all processes."""
        return self.trainer.strategy.reduce(tensor, reduce_op="sum") if self.trainer.world_size > 1 else tensor

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
        image = image.float() / 255 if image.dtype == torch.uint8 else image
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
        defaults = self.optimizer([nn.Parameter(torch.zeros(1))]).defaults
        groups = parameter_groups(
            self.network,
            self.phase,
            self.parts,
            lr=float(defaults["lr"]),
            weight_decay=float(defaults.get("weight_decay", 0.0)),
        )
        optimizer = self.optimizer(groups)
        self._options = plain_options(optimizer)
        self._plateau = None
        if self.lr_scheduler is None:
            return optimizer
        schedule = self._schedule(optimizer)
        if isinstance(schedule, ReduceLROnPlateau):
            # Lightning steps it after the checkpoint is written, which a resumed run would miss.
            self._plateau = schedule
            if self._plateau_state is not None:
                schedule.load_state_dict(self._plateau_state)
            return optimizer
        interval = "step" if isinstance(schedule, WarmupCosine) else "epoch"
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": interval}}

    def _schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        assert self.lr_scheduler is not None
        make: Callable[..., Any] = self.lr_scheduler
        schedule = make(optimizer)
        if isinstance(schedule, WarmupCosine):
            schedule.fit_to(max(1, int(self.trainer.estimated_stepping_batches) - self.phase_start_step))
        return schedule

    def step_plateau(self, metrics: dict[str, float]) -> None:
        """Let a plateau schedule see the validation metrics of this epoch."""
        if self._plateau is None or self.trainer.sanity_checking:
            return
        monitor = getattr(self._plateau, "monitor", "val/loss")
        if monitor not in metrics:
            raise UserError(
                f"The learning-rate schedule watches {monitor!r}, which is not measured.\n"
                f"Choose one of {', '.join(sorted(key for key in metrics if key.count('/') == 1))}."
            )
        self._plateau.step(metrics[monitor])

    def on_train_epoch_end(self) -> None:
        """See that the whole epoch was finite."""
        self.loss_watch.check(self)

    def on_validation_start(self) -> None:
        """See that what is validated, and then saved, was trained on finite losses."""
        if not self.trainer.sanity_checking:
            self.loss_watch.check(self)

    # --- checkpoints ----------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """What any checkpoint of this task, full or delta, says about its network, as plain data."""
        return {"backbone": self.backbone, "input_size": list(self.input_size), "carried": sorted(self.carried)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs: base weights, plan and phase."""
        self.loss_watch.check(self)
        checkpoint[CHECKPOINT_KEY] = self.describe() | {
            "base": self.base.to_dict(),
            "phases": [phase.name for phase in self.plan],
            "phase": self.phase_index,
            "phase_start": (self.phase_start_epoch, self.phase_start_step),
            "reestimated": self.reestimated,
            "optimizer": self._options,
            "plateau": self._plateau.state_dict() if self._plateau is not None else None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the network that the checkpoint's weights fit, and return to its phase."""
        if not self.built:
            self.build(checkpoint[CHECKPOINT_KEY])
        own = checkpoint[CHECKPOINT_KEY]
        self.reestimated = own["reestimated"]
        self._plateau_state = own["plateau"]
        self._resumed_options = own["optimizer"]


def unsaved_arguments() -> list[str]:
    """Arguments that ``save_hyperparameters`` must leave out.

    From the command line Lightning gets them as plain data; objects given in Python cannot be saved safely.
    """
    return [] if _given_hyperparameters.get() is not None else ["transfer", "optimizer", "lr_scheduler"]
