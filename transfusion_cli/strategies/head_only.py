"""Only the classifier trains."""

from dataclasses import replace
from typing import Any, Literal

import torch

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import head_names
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.cached import Cached
from transfusion_cli.strategies.l2_path import fit_head, penalties
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase, Statistics, rates


class HeadOnly(TransferStrategy):
    """Train the classifier alone, on features that do not move (linear probe).

    In a segmentation network it trains the decoder too, where that was not carried over.

    With ``statistics: update`` the BatchNorm averages follow the new data while every weight stays: FC-BMA of
    Kanavati & Tsuneki (2021), who used a PyTorch momentum of 0.05.

    Args:
        statistics: what BatchNorm statistics do: ``frozen``, ``update`` or ``reestimate``. Layers that were not carried
            over always update, but for ``frozen_all``.
        momentum: BatchNorm momentum, PyTorch's sense; null keeps the layers' own.
        lr: learning rate of the head; null takes the optimizer's.
        cache: compute the features of each training and validation image once, and train on them: all epochs together
            then cost little more than one without gradients. The run is the same to rounding. Features are kept in
            ``~/.cache/transfusion/features``, or in the folder given here in place of true, for later runs on the same
            weights and images; any file there may be deleted.
        views: augmented views of each training image that ``cache`` keeps; epoch e trains on view e modulo this number.
            As many views as epochs make the run the one without a cache. 0 is for images that are not augmented.
        l2: penalties of a logistic head, such as ``[1, 0.1, 0.01]``, or ``path`` for 17 of them from 100 to 1e-6. An
            epoch is then a penalty, the strongest first: at its beginning the head is brought to the minimum of the
            task's loss over all cached training features + l2 / 2 * |W|^2, by L-BFGS from the minimum before. The
            optimizer, its schedule, dropout and ``lr`` have no part in it. The best checkpoint is, as always, that of
            the best validation, and with it the penalty; ``results.json`` has it as ``val/l2``.
    """

    def __init__(
        self,
        statistics: Statistics = "frozen",
        momentum: float | None = None,
        lr: float | None = None,
        cache: bool | str = False,
        views: int = 0,
        l2: list[float] | Literal["path"] | None = None,
    ) -> None:
        super().__init__()
        self.statistics: Statistics = statistics
        self.momentum = momentum
        self.lr = rates(lr)
        if views < 0 or (views and not cache):
            raise UserError(
                f"views is how many augmented views of an image a cache keeps, and here it is {views}.\n"
                "Set it to 0, or to 1 or more with --model.transfer.cache true."
            )
        if l2 is not None and not cache:
            raise UserError("l2 is fitted on features that are cached.\nAdd --model.transfer.cache true.")
        if cache and statistics == "update":
            raise UserError(
                "HeadOnly cannot cache features that move: with statistics update they change in every step.\n"
                "Set --model.transfer.cache false, or --model.transfer.statistics frozen (or reestimate)."
            )
        self.l2 = penalties(l2)
        self.cached = Cached(cache if isinstance(cache, str) else None, views, self.l2) if cache else None

    def select(self, parts: NetworkParts) -> list[Phase]:
        """One phase that trains the head."""
        if not parts.head:
            raise UserError("This backbone has no head that HeadOnly could train.\nChoose another backbone.")
        phase = Phase("head", parts.new, self.statistics, self.momentum, self.lr, cached=self.cached)
        if self.l2:  # at a rate of 0 the steps of an epoch leave the head at its minimum
            phase = replace(phase, lr=rates(0.0), epochs=len(self.l2), early_stop=False)
        if self.cached is None:
            return [phase]
        if parts.decoder:
            raise UserError(
                "HeadOnly cannot cache the features of a segmentation network: there is one for every pixel.\n"
                "Set --model.transfer.cache false."
            )
        if moving := phase.moving(parts):
            raise UserError(
                f"HeadOnly cannot cache features that move: the statistics of {len(moving)} BatchNorm layers update,\n"
                "since nothing was carried over to them.\n"
                "Set --model.transfer.statistics frozen_all, or give --model.pretrained weights with statistics."
            )
        return [phase]

    # The penalties of ``l2``, an epoch each.

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Fit the head under the penalty of the epoch; every process does, and takes the result of the first."""
        if not self.l2:
            return
        penalty = self._penalty(trainer, pl_module)
        head = pl_module.network.get_submodule(head_names(pl_module.network)[0])
        fit_head(head, trainer.datamodule.features["train"].all, pl_module.loss, penalty)
        if trainer.world_size > 1:
            for parameter in head.parameters():
                torch.distributed.broadcast(parameter.data, 0)
        pl_module.shown["train/l2"] = penalty
        pl_module.log("train/l2", penalty)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Have checkpoints say under which penalty their head was fitted."""
        if self.l2 and trainer.state.fn == "fit" and not trainer.sanity_checking:
            pl_module.validation_metrics["val/l2"] = self._penalty(trainer, pl_module)

    def _penalty(self, trainer: Any, pl_module: Any) -> float:
        epoch: int = trainer.current_epoch - pl_module.phase_start_epoch
        return self.l2[epoch]
