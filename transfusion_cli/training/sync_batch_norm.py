"""BatchNorm statistics over all processes, for the layers that use batch statistics."""

from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from transfusion_cli.models.adapter import take_off
from transfusion_cli.tasks.base import TransferTask


class PhaseSyncBatchNorm(TorchSyncBatchNorm):
    """Synchronise the BatchNorm layers of a phase that updates statistics, and put the originals back after it.

    Lightning's own conversion would drop the activation of timm's fused layers, the wrapper of AC-Norm and the work of
    adapters, and synchronise frozen layers for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._originals: dict[str, nn.Module] = {}

    def apply(self, model: nn.Module) -> nn.Module:
        """Convert the layers of ``model`` in place; parameters and buffers are shared with the originals."""
        if not isinstance(model, TransferTask):
            return model
        for name in model.phase.moving(model.transferred.parts):
            name = f"network.{name}"
            layer = self._originals[name] = model.get_submodule(name)
            adapter = take_off(layer)
            synchronised = convert_sync_batchnorm(layer)
            if adapter is not None:
                adapter.attach(synchronised)
            model.set_submodule(name, synchronised)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Put the original layers back, with the tensors of the others: they may have moved to a device meanwhile."""
        for name, layer in self._originals.items():
            synchronised = model.get_submodule(name)
            adapter = take_off(synchronised)
            for own, tensor in (*synchronised.named_parameters(), *synchronised.named_buffers()):
                setattr(layer, own, tensor)
            if adapter is not None:
                adapter.attach(layer)
            model.set_submodule(name, layer)
        self._originals = {}
        return model

    @contextmanager
    def suspended(self, model: nn.Module) -> Iterator[None]:
        """Let each process normalise for itself meanwhile: nothing else would wait for the others."""
        self.revert(model)
        try:
            yield
        finally:
            self.apply(model)
