"""AC-Norm: batch normalisation recalibrated by cross-domain channel correlations (Zhang et al. 2023, 2307.15282)."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from transfusion_cli.models.channel_mixing import mix
from transfusion_cli.models.norms import has_affine, norm_layers

DEAD = 10.0
"""A channel is dead if its scale is below this many times eps, which then rules its sensitivity."""


class ACNorm(nn.Module):
    """One AC-Norm layer around a pretrained batch normalisation.

    With source affine (g_s, b_s) and target affine (g_t, b_t), each channel has the sensitivity y = b / (|g| + eps).
    The correlation of target channel i with source channel j is ``softmax_j(-|y_t[i] - y_s[j]| / temperature)``, kept
    where j is at least as near as i's own counterpart and zero elsewhere. The target affine is recalibrated to C g_t
    and C b_t, and the layer's output is BN(x; g_t, b_t) + BN(x; C g_t, C b_t). Both terms share their statistics, so
    one batch normalisation with g_t + C g_t and b_t + C b_t gives the sum. No gradient flows through C.

    C is a function of the affines alone, computed in fp32 or better whatever the precision of the rest. On a CPU
    its matrix is never made (see :func:`~transfusion_cli.models.channel_mixing.mix`). A row belonging to a dead
    channel (see :data:`DEAD`) is that of the identity, and dead source channels join no other row; otherwise such a
    channel would take its neighbours' affines as soon as it moved. The published layer has no such rule, and
    neither has ``reference``.

    The published layer is one of batch normalisation. As the correlation needs affines alone, the same is defined for
    any normalisation with scale and shift by channel (layer, group, instance normalisation): that is new here, and
    nobody has published how well it does.

    Args:
        bn: the pretrained layer, of any such kind; it becomes the child ``bn`` and its affine the trainable target.
        temperature: temperature of the softmax.
        combine: ``sum`` as published, or ``mean``: half the sum, which keeps the scale of the pretrained layer.
        reference: equal the published implementation to the letter: it runs batch normalisation twice per training
            step, so running statistics move by 1 - (1 - momentum)^2 and batches are not counted.

    Raises:
        ValueError: ``bn`` has no scale and shift by channel, or the temperature is not positive.
    """

    source_weight: Tensor
    source_bias: Tensor

    def __init__(
        self,
        bn: Any,
        temperature: float = 1.0,
        combine: Literal["sum", "mean"] = "sum",
        reference: bool = False,
    ) -> None:
        super().__init__()
        if not has_affine(bn):
            raise ValueError("AC-Norm needs a normalisation with scale and shift by channel")
        if temperature <= 0:
            raise ValueError(f"The temperature of AC-Norm must be positive, not {temperature}")
        self.bn = bn
        self.temperature, self.combine, self.reference = temperature, combine, reference
        self.register_buffer("source_weight", bn.weight.detach().clone())
        self.register_buffer("source_bias", bn.bias.detach().clone())

    @torch.no_grad()
    def correlation(self) -> Tensor:
        """The sparse correlation C (channels, channels) of target (rows) with source (columns) channels."""
        target, source, dead_target, dead_source = self._sensitivities()
        distance = (target[:, None] - source[None, :]).abs()
        keep = distance <= distance.diagonal()[:, None]
        distance.masked_fill_(dead_source[None, :], torch.inf)
        correlation = torch.softmax(-distance / self.temperature, dim=1) * keep
        unmixed = torch.eye(len(target), dtype=target.dtype, device=target.device)
        return torch.where((dead_target | dead_source)[:, None], unmixed, correlation)

    @torch.no_grad()
    def _sensitivities(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sensitivities of target and source (channels,), and which channels of each are dead."""
        bn = self.bn
        precision = torch.promote_types(bn.weight.dtype, torch.float32)
        size = torch.stack((bn.weight, self.source_weight)).to(precision).abs()
        found = torch.stack((bn.bias, self.source_bias)).to(precision) / (size + bn.eps)
        dead = size < (0 if self.reference else DEAD * bn.eps)
        return *found.unbind(), *dead.unbind()

    @torch.compiler.disable
    def combined_affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (channels,) of the equivalent plain batch normalisation, differentiable in the target's."""
        with torch.autocast(self.source_weight.device.type, enabled=False):
            bn = self.bn
            affine = torch.stack((bn.weight, bn.bias))
            precise = affine.to(torch.promote_types(affine.dtype, torch.float32))
            both = precise + self._recalibrated(precise)
            weight, bias = (both / 2 if self.combine == "mean" else both).to(affine.dtype)
        return weight, bias

    def _recalibrated(self, affine: Tensor) -> Tensor:
        """C times the target's scale and shift (2, channels)."""
        if affine.device.type != "cpu":  # where a matrix costs less than starting what goes without
            return affine @ self.correlation().T
        target, source, dead_target, dead_source = self._sensitivities()
        if dead_source.all():
            return affine
        mixed = mix(affine.double(), target.double(), source.double(), ~dead_source, self.temperature)
        return torch.where(dead_target | dead_source, affine, mixed.to(affine.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...) by the wrapped layer, with its activation where it has one."""
        weight, bias = self.combined_affine()
        state, momentum = {"weight": weight, "bias": bias}, getattr(self.bn, "momentum", None)
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

    def extra_repr(self) -> str:
        """The options, for ``print(network)``."""
        return f"temperature={self.temperature}, combine={self.combine}, reference={self.reference}"


def ac_norm_layers(network: nn.Module) -> dict[str, ACNorm]:
    """The AC-Norm layers of a network by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, ACNorm)}


def convert_ac_norm(network: nn.Module, names: Iterable[str], **options: Any) -> nn.Module:
    """Replace the named normalisations by AC-Norm layers, in place.

    Name those whose affine is pretrained: the correlation with a source means nothing for the others.

    Args:
        network: network to change.
        names: names as given by :func:`~transfusion_cli.models.norms.norm_layers`.
        **options: of :class:`ACNorm`.

    Raises:
        ValueError: a name is not that of a normalisation with scale and shift by channel.
    """
    layers = norm_layers(network)
    for name in names:
        if name not in layers or not name:
            raise ValueError(f"{name!r} is no normalisation inside the network")
        layer = layers[name]
        network.set_submodule(name, ACNorm(layer, **options).train(layer.training))
    return network


@torch.no_grad()
def fold_ac_norm(network: nn.Module) -> nn.Module:
    """Replace AC-Norm layers by their wrapped normalisation with the combined affine, in place.

    The outputs stay the same and the state dict is again the ordinary one of the architecture.
    """
    for name, layer in ac_norm_layers(network).items():
        for parameter, value in zip((layer.bn.weight, layer.bn.bias), layer.combined_affine(), strict=True):
            parameter.copy_(value)
        network.set_submodule(name, layer.bn)
    return network
