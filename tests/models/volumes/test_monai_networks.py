"""MONAI's networks as backbones of ours."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

from transfusion_cli.models.batch_norm import batch_norm_layers
from transfusion_cli.models.facts import decoder_names, first_convolution, head_names, in_head
from transfusion_cli.models.segmentation.build import build_segmentation
from transfusion_cli.models.stages import stages
from transfusion_cli.strategies.parts import NetworkParts

SMALL = {"monai_dynunet": {"levels": 3, "filters": [4, 8, 16]}, "monai_segresnet": {"levels": 3, "filters": 8}}

STAGES = {
    "monai_dynunet": ["conv1", "block1", "block2", "decoder1", "decoder2"],
    "monai_segresnet": ["conv1", *(f"block{i}" for i in (1, 2, 3)), *(f"decoder{i}" for i in range(1, 6))],
}


def small(name: str, num_outputs: int = 3) -> nn.Module:
    options = {"in_chans": 1, "pretrained": False, "dims": 3, "backbone_args": SMALL[name]}
    return build_segmentation(name, num_outputs=num_outputs, **options)[0]


@pytest.mark.parametrize("name", list(SMALL))
def test_networks(name: str) -> None:
    network = pickle.loads(pickle.dumps(copy.deepcopy(small(name))))
    x = torch.rand(2, 1, 13, 8, 10)
    logits = network(x)
    assert logits.shape == (2, 3, 13, 8, 10)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert batch_norm_layers(network) and not any(
        isinstance(layer, nn.InstanceNorm3d | nn.GroupNorm) for layer in network.modules()
    )
    state, named = network.state_dict(), dict(network.named_parameters())
    assert set(named) <= set(state) and len({tensor.data_ptr() for tensor in state.values()}) == len(state)

    heads, decoder = head_names(network), decoder_names(network)
    assert len(heads) == 1 and network.get_submodule(heads[0]).out_channels == 3
    assert first_convolution(network)[1].in_channels == 1
    names = [each for members in stages(network).values() for each in members]
    assert sorted(names) == sorted(each for each in state if not in_head(each, heads))
    assert list(stages(network)) == STAGES[name]
    parts = NetworkParts.of(network)
    assert parts.decoder and set(parts.decoder) == {each for each in named if in_head(each, decoder)}


@pytest.mark.parametrize("name", list(SMALL))
def test_replaced_layers_are_the_ones_that_run(name: str) -> None:
    network = small(name).eval()
    layer = next(iter(batch_norm_layers(network)))
    x = torch.rand(1, 1, 8, 8, 8)
    before = network(x)
    with torch.no_grad():
        network.get_submodule(layer).weight.mul_(3)
        assert not torch.allclose(network(x), before)
        network.set_submodule(layer, nn.Identity())
        assert network(x).shape == before.shape


@pytest.mark.slow
def test_monai_is_imported_only_to_build_them() -> None:
    code = (
        "import sys, timm, transfusion_cli.models.pretrained; "
        "assert timm.is_model('monai_dynunet'); print('monai' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
