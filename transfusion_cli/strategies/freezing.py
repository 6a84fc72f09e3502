"""Put a phase into effect on a network: what requires gradients, and which modules are in evaluation mode."""

from torch import nn

from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.facts import decoder_names, whole_modules
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase


def start_phase(network: nn.Module, phase: Phase) -> None:
    """Let exactly the phase's parameters require gradients, and set BatchNorm momentum."""
    trainable = set(phase.trainable)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trainable)
        if name not in trainable:
            parameter.grad = None
    for layer in batch_norm_layers(network).values():
        own = layer.__dict__.setdefault("_own_momentum", layer.momentum)
        layer.momentum = own if phase.momentum is None else phase.momentum


def set_modes(network: nn.Module, phase: Phase, parts: NetworkParts) -> None:
    """Set train or evaluation mode of every module, for training under ``phase``.

    BatchNorm follows the phase's statistics policy, and moves where nothing was carried over. Dropout and stochastic
    depth inside the backbone are active only while weights of the backbone train, or adapters beside them: features
    that are frozen, or merely rescaled, stay the same in training and evaluation. So it is with the decoder and its
    weights, and with stages that the phase keeps still. The head always trains as such. The flag
    ``track_running_stats`` is never touched.
    """
    groups = {parts.group_of(name) for name in phase.trainable}
    network.train(not groups.isdisjoint({"rest", "adapter"}))
    network.training = True
    for name, module in network.named_modules():
        if any(parameter.startswith(f"{name}.") for parameter in parts.head) and name:
            module.train()
    for name in decoder_names(network):
        network.get_submodule(name).train("decoder" in groups)
    for name in whole_modules(network, phase.still):
        network.get_submodule(name).eval()
    # timm applies head dropout as F.dropout under the network's own flag, or as a module of one of these names.
    for name in ("head_drop", "drop"):
        if isinstance(module := getattr(network, name, None), nn.Module):
            module.train()
    moving = phase.moving(parts)
    for name, layer in batch_norm_layers(network).items():
        layer.train(name in moving)
