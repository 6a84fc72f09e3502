"""Batch or moving statistics by chance."""

from typing import Any

import torch
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.stoch_norm import convert_stoch_norm, merge_stoch_norm, stoch_norm_layers
from transfusion_cli.strategies.base import TransferStrategy


class StochNorm(TransferStrategy):
    """Normalise each channel by the batch or by the moving statistics, by chance (Kou et al. 2020).

    So BatchNorm layers that were carried over, of images and of volumes, forget their statistics less. What is drawn
    depends on the seed and the step alone, and is the same in all processes. The statistics must move: the strategy
    that trains needs ``statistics: update``.

    Extra cost: in training each of these layers normalises twice and keeps another map of its size. None after it: the
    layers are then ordinary ones.

    Args:
        p: the chance that a channel is normalised by the batch; 1 is plain BatchNorm.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise UserError(f"p of StochNorm is a probability, from 0 to 1, not {p}.\nTry p: 0.5")
        self.p = p

    def adapt(self, network: nn.Module, pretrained: frozenset[str]) -> None:
        """Put StochNorm layers around the BatchNorm layers whose statistics came from the source.

        Raises:
            UserError: there are none.
        """
        layers = [name for name in batch_norm_layers(network) if f"{name}.running_mean" in pretrained]
        if not layers:
            raise UserError(
                "StochNorm needs BatchNorm layers with pretrained statistics, and this network has none left.\n"
                "Give --model.pretrained a file that holds them, and no other strategy that changes these layers."
            )
        convert_stoch_norm(network, layers)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """See that statistics move at some time.

        Raises:
            UserError: all phases keep them.
        """
        inside = {f"{name}.bn" for name in stoch_norm_layers(pl_module.network)}
        if not any(phase.moving(pl_module.transferred.parts) & inside for phase in pl_module.plan):
            raise UserError(
                "StochNorm does nothing where BatchNorm statistics are frozen, as they are in each phase here.\n"
                "Give what trains statistics: update, or leave StochNorm out of --model.transfer."
            )

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Draw for each channel what it is normalised by."""
        step = trainer.fit_loop.epoch_loop.total_batch_idx
        draws = torch.Generator().manual_seed((pl_module.seed * 1_000_003 + step) % 2**63)
        layers = stoch_norm_layers(pl_module.network).values()
        sizes = [layer.bn.num_features for layer in layers]
        chosen = (torch.rand(sum(sizes), generator=draws) < self.p).to(pl_module.device)
        for layer, by_batch in zip(layers, chosen.split(sizes), strict=True):
            layer.by_batch = by_batch

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Leave the layers as plain ones."""
        for layer in stoch_norm_layers(pl_module.network).values():
            layer.by_batch = None

    def finalize(self, network: nn.Module) -> None:
        """Put the BatchNorm layers back."""
        merge_stoch_norm(network)
