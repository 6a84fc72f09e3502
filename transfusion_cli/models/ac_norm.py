"""AC-Norm: batch normalisation recalibrated by cross-domain channel correlations (Zhang et al. 2023, 2307.15282)."""

from collections.abc import Iterable
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from transfusion_cli.models.unchanged import Unchanged

DEAD = 10.0
"""A channel is dead if its scale is below this many times eps, which then rules its sensitivity."""


class ACNorm(nn.Module):
    """One AC-Norm layer around a pretrained batch normalisation.

    With source affine (g_s, b_s) and target affine (g_t, b_t), each channel has the sensitivity y = b / (|g| + eps).
    The correlation of target channel i with source channel j is ``softmax_j(-|y_t[i] - y_s[j]| / temperature)``, kept
    where j is at least as near as i's own counterpart and zero elsewhere. The target affine is recalibrated to C g_t
    and C b_t, and the layer's output is BN(x; g_t, b_t) + BN(x; C g_t, C b_t). Both terms share their statistics, so
    one batch normalisation with g_t + C g_t and b_t + C b_t gives the sum. No gradient flows through C.

    C is a function of the affines alone. It is kept until they change or an optimizer has stepped, and computed in fp32
    whatever the precision of the rest. PyTorch does not count writing through ``.data`` as a change: switch the mode
    after it, or call ``refresh``. A row belonging to a dead channel (see :data:`DEAD`) is that of the identity, and
    dead source channels join no other row; otherwise such a channel would take its neighbours' affines as soon as it
    moved. The published layer has no such rule, and neither has ``reference``.

    Args:
        bn: the pretrained layer; it becomes the child ``bn`` and its affine the trainable target.
        temperature: temperature of the softmax.
        combine: ``sum`` as published, or ``mean``: half the sum, which keeps the scale of the pretrained layer.
        reference: equal the published implementation to the letter: it runs batch normalisation twice per training
            step, so running statistics move by 1 - (1 - momentum)^2 and batches are not counted.

    Raises:
        ValueError: ``bn`` has no affine, or the temperature is not positive.
    """

    source_weight: Tensor
    source_bias: Tensor

    def __init__(
        self,
        bn: _BatchNorm,
        temperature: float = 1.0,
        combine: Literal["sum", "mean"] = "sum",
        reference: bool = False,
    ) -> None:
        super().__init__()
        if not bn.affine:
            raise ValueError("AC-Norm needs a batch normalisation with scale and shift")
        if temperature <= 0:
            raise ValueError(f"The temperature of AC-Norm must be positive, not {temperature}")
        self.bn = bn
        self.temperature, self.combine, self.reference = temperature, combine, reference
        self.register_buffer("source_weight", bn.weight.detach().clone())
        self.register_buffer("source_bias", bn.bias.detach().clone())
        # no buffer: DDP would broadcast channels x channels numbers per layer in every step
        self._kept: tuple[Unchanged, Tensor] | None = None

    def refresh(self) -> None:
        """Drop the kept correlation, so that the next forward computes it anew."""
        self._kept = None

    @torch.no_grad()
    def correlation(self) -> Tensor:
        """The sparse correlation C (channels, channels) of target (rows) with source (columns) channels."""
        precision = torch.promote_types(self.bn.weight.dtype, torch.float32)
        target_weight, target_bias = self.bn.weight.to(precision), self.bn.bias.to(precision)
        source_weight, source_bias = self.source_weight.to(precision), self.source_bias.to(precision)
        target = target_bias / (target_weight.abs() + self.bn.eps)
        source = source_bias / (source_weight.abs() + self.bn.eps)
        distance = (target[:, None] - source[None, :]).abs()
        keep = distance <= distance.diagonal()[:, None]
        if self.reference:
            return torch.softmax(-distance / self.temperature, dim=1) * keep
        dead_source = source_weight.abs() < DEAD * self.bn.eps
        dead = dead_source | (target_weight.abs() < DEAD * self.bn.eps)
        distance.masked_fill_(dead_source[None, :], torch.inf)
        correlation = torch.softmax(-distance / self.temperature, dim=1) * keep
        return torch.where(dead[:, None], torch.eye(len(target), dtype=precision, device=distance.device), correlation)

    @torch.compiler.disable
    def combined_affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (channels,) of the equivalent plain batch normalisation, differentiable in the target's."""
        mixing = self._kept_mixing()
        with torch.autocast(mixing.device.type, enabled=False):
            affine = (self.bn.weight, self.bn.bias)
            weight, bias = (mixing.mv(target.to(mixing.dtype)).to(target.dtype) for target in affine)
        return weight, bias

    def _kept_mixing(self) -> Tensor:
        """I + C, or half of it, computed anew if the affines may have changed since the last time."""
        affines = (self.bn.weight, self.bn.bias, self.source_weight, self.source_bias)
        if self._kept is None or not self._kept[0].holds(affines):
            with torch.inference_mode(False):  # what validation computes, training may use
                mixing = self.correlation()
                mixing.diagonal().add_(1)
                self._kept = Unchanged(affines), mixing.div_(2) if self.combine == "mean" else mixing
        return self._kept[1]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...) by the wrapped layer, with its activation where it has one."""
        weight, bias = self.combined_affine()
        state, momentum = {"weight": weight, "bias": bias}, self.bn.momentum
        normalised: Tensor
        if not self.reference or momentum is None:
            normalised = functional_call(self.bn, state, (x,))
            return normalised
        if self.bn.num_batches_tracked is not None:
            state["num_batches_tracked"] = self.bn.num_batches_tracked.clone()
        self.bn.momentum = 1 - (1 - momentum) ** 2
        try:
            normalised = functional_call(self.bn, state, (x,))
            return normalised
        finally:
            self.bn.momentum = momentum

    def train(self, mode: bool = True) -> Self:
        """Switch mode; the correlation is computed anew, whatever happened to the affines in between."""
        self.refresh()
        return super().train(mode)

    def extra_repr(self) -> str:
        """The options, for ``print(network)``."""
        return f"temperature={self.temperature}, combine={self.combine}, reference={self.reference}"

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which have tensors of their own: all but the kept correlation."""
        return self.__dict__ | {"_kept": None}


def ac_norm_layers(network: nn.Module) -> dict[str, ACNorm]:
    """The AC-Norm layers of a network by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, ACNorm)}


def convert_ac_norm(network: nn.Module, names: Iterable[str], **options: Any) -> nn.Module:
    """Replace the named batch normalisations by AC-Norm layers, in place.

    Name those whose affine is pretrained: the correlation with a source means nothing for the others.

    Args:
        network: network to change.
        names: names as given by :func:`~transfusion_cli.models.batch_norm.batch_norm_layers`.
        **options: of :class:`ACNorm`.

    Raises:
        ValueError: a name is not that of a batch normalisation with affine.
    """
    for name in names:
        layer = network.get_submodule(name)
        if not isinstance(layer, _BatchNorm) or not name:
            raise ValueError(f"{name!r} is no batch normalisation inside the network")
        network.set_submodule(name, ACNorm(layer, **options).train(layer.training))
    return network


@torch.no_grad()
def fold_ac_norm(network: nn.Module) -> nn.Module:
    """Replace AC-Norm layers by their wrapped batch normalisation with the combined affine, in place.

    The outputs stay the same and the state dict is again the ordinary one of the architecture.
    """
    for name, layer in ac_norm_layers(network).items():
        for parameter, value in zip((layer.bn.weight, layer.bn.bias), layer.combined_affine(), strict=True):
            parameter.copy_(value)
        network.set_submodule(name, layer.bn)
    return network
