"""Segmentation networks that look pretrained, and a few steps of training without a task."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transfusion_cli.models.segmentation.build import build_segmentation
from transfusion_cli.strategies.composed import as_strategy
from transfusion_cli.strategies.freezing import set_modes, start_phase
from transfusion_cli.strategies.plan import parameter_groups
from transfusion_cli.tasks.network import SegmentationRecipe, Transferred

SLIM: dict[str, dict[str, Any]] = {
    "resnet18": {"backbone_args": {"channels": (8, 16, 24, 32)}, "decoder_channels": [24, 16, 12, 8, 8]}
}
"""Backbones that are made slim, so that tests take seconds."""


def trained_state(backbone: str = "cifar_resnet20", **kwargs: Any) -> dict[str, Tensor]:
    """State of a whole segmentation network in which nothing has the value it begins with."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        options = SLIM.get(backbone, {}) | kwargs
        network, _ = build_segmentation(backbone, num_outputs=3, pretrained=False, **options)
        for layer in network.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, std=0.3)
                nn.init.normal_(layer.running_mean, std=0.3)
                nn.init.uniform_(layer.running_var, 0.5, 1.5)
                layer.num_batches_tracked.fill_(100)
    return network.state_dict()


def trained_file(folder: Path, backbone: str = "cifar_resnet20", **kwargs: Any) -> str:
    """Save such a state as a checkpoint of a run does; the path."""
    path = folder / f"{backbone}_{kwargs.get('decoder', 'unet')}_run.ckpt"
    if path.exists():
        return str(path)
    state = {f"network.{name}": tensor for name, tensor in trained_state(backbone, **kwargs).items()}
    torch.save({"state_dict": state | {"mean": torch.zeros(1), "std": torch.ones(1)}}, path)
    return str(path)


def encoder_file(folder: Path, backbone: str = "cifar_resnet20") -> str:
    """Save the encoder of such a state as the weights of a backbone; the path."""
    path = folder / f"{backbone}_encoder.pth"
    if not path.exists():
        state = trained_state(backbone)
        torch.save({name[8:]: tensor for name, tensor in state.items() if name.startswith("encoder.")}, path)
    return str(path)


def make_network(
    folder: Path, transfer: Any, backbone: str = "cifar_resnet20", pretrained: bool | str | None = None, **kwargs: Any
) -> Transferred:
    """A segmentation network for two classes, from an encoder's weights unless others are given."""
    weights = encoder_file(folder, backbone) if pretrained is None else pretrained
    recipe = SegmentationRecipe(backbone, weights, 2, 3, 0.1, None, 42, **SLIM.get(backbone, {}) | kwargs)
    return recipe.make(as_strategy(transfer))


def steps(own: Transferred, number: int = 3, phase: int = -1) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """State of the network before and after a few steps of a phase, each on images of its own."""
    chosen = own.plan[phase]
    start_phase(own.network, chosen)
    optimizer = torch.optim.AdamW(parameter_groups(own.network, chosen, own.parts, lr=1e-2, weight_decay=0.1))
    before = {name: tensor.clone() for name, tensor in own.network.state_dict().items()}
    torch.manual_seed(3)
    for _ in range(number):
        set_modes(own.network, chosen, own.parts)
        image, target = torch.randn(2, 3, 37, 41), torch.randint(0, 2, (2, 37, 41))
        logits = own.network(image)
        logits = logits if isinstance(logits, Tensor) else sum(F.interpolate(each, (37, 41)) for each in logits)
        F.cross_entropy(logits, target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, {name: tensor.clone() for name, tensor in own.network.state_dict().items()}
