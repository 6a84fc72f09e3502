"""The U-Net of Models Genesis."""

import copy
import pickle
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from support.networks import draw_batch_norm
from torch import Tensor, nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import convert_ac_norm
from transfusion_cli.models.batch_norm import batch_norm_layers, reestimate_statistics
from transfusion_cli.models.facts import decoder_names, head_names, input_size
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.segmentation.build import build_segmentation
from transfusion_cli.models.stages import stages


def whole(**kwargs: object) -> nn.Module:
    torch.manual_seed(0)
    return draw_batch_norm(timm.create_model("genesis_unet3d", num_classes=1, **kwargs)).eval()


def count(network: nn.Module, *prefixes: str) -> int:
    return sum(p.numel() for name, p in network.named_parameters() if name.startswith(prefixes))


def test_it_has_the_published_tensors() -> None:
    with torch.device("meta"):
        network = timm.create_model("genesis_unet3d", num_classes=1)
    assert len(network.state_dict()) == 106
    assert round(count(network, "") / 1e6, 2) == 19.07
    assert round(count(network, "down_tr") / 1e6, 2) == 7.03
    assert round(count(network, "up_tr", "out_tr") / 1e6, 2) == 12.05
    layers = batch_norm_layers(network)
    affine = {name: layer.weight.numel() + layer.bias.numel() for name, layer in layers.items()}
    assert len(affine) == 14 and sum(affine.values()) == 4672
    assert sum(number for name, number in affine.items() if name.startswith("down_tr")) == 2880
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes["down_tr64.ops.0.conv1.weight"] == (32, 1, 3, 3, 3)
    assert shapes["down_tr64.ops.1.conv1.weight"] == (64, 32, 3, 3, 3)
    assert shapes["down_tr512.ops.1.conv1.bias"] == (512,)
    assert shapes["up_tr256.up_conv.weight"] == (512, 512, 2, 2, 2)
    assert shapes["up_tr256.ops.0.conv1.weight"] == (256, 768, 3, 3, 3)
    assert shapes["up_tr64.ops.1.bn1.running_var"] == (64,)
    assert shapes["out_tr.final_conv.weight"] == (1, 64, 1, 1, 1)


def reference(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network step by step from its tensors alone."""

    def convolved(x: Tensor, name: str) -> Tensor:
        for i in (0, 1):
            at = f"{name}.ops.{i}"
            x = F.conv3d(x, state[f"{at}.conv1.weight"], state[f"{at}.conv1.bias"], padding=1)
            mean, var = state[f"{at}.bn1.running_mean"], state[f"{at}.bn1.running_var"]
            x = F.relu(F.batch_norm(x, mean, var, state[f"{at}.bn1.weight"], state[f"{at}.bn1.bias"]))
        return x

    skips = []
    for width in (64, 128, 256):
        skips.append(convolved(x, f"down_tr{width}"))
        x = F.max_pool3d(skips[-1], 2)
    x = convolved(x, "down_tr512")
    for width in (256, 128, 64):
        up = F.conv_transpose3d(x, state[f"up_tr{width}.up_conv.weight"], state[f"up_tr{width}.up_conv.bias"], stride=2)
        x = convolved(torch.cat([up, skips.pop()], 1), f"up_tr{width}")
    return F.conv3d(x, state["out_tr.final_conv.weight"], state["out_tr.final_conv.bias"])


@torch.no_grad()
def test_it_computes_what_it_says() -> None:
    network, x = whole(), torch.rand(1, 1, 16, 8, 24)
    assert torch.allclose(network(x), reference(network.state_dict(), x), atol=1e-4)


@torch.no_grad()
def test_volumes_of_any_size() -> None:
    network, x = whole(), torch.rand(2, 1, 13, 16, 9)
    padded = F.pad(x, (0, 7, 0, 0, 0, 3), mode="replicate")
    assert torch.allclose(network(x), network(padded)[:, :, :13, :, :9], atol=1e-5)
    again = pickle.loads(pickle.dumps(copy.deepcopy(network)))
    assert again(x).shape == (2, 1, 13, 16, 9)


def files(folder: Path) -> dict[str, tuple[nn.Module, Path]]:
    network = whole()
    state = network.state_dict()
    torch.save({"epoch": 1, "state_dict": {f"module.{n}": t for n, t in state.items()}}, folder / "genesis.pt")
    body = {f"module.backbone.{name}": tensor for name, tensor in state.items() if not name.startswith("out_tr")}
    torch.save({"net": body | {"module.organ_embedding": torch.rand(3, 4)}, "epoch": 1}, folder / "suprem.pth")
    return {name: (network, folder / name) for name in ("genesis.pt", "suprem.pth")}


@pytest.mark.parametrize("name", ["genesis.pt", "suprem.pth"])
@torch.no_grad()
def test_both_families_of_files(tmp_path: Path, name: str) -> None:
    source, path = files(tmp_path)[name]
    network, report = build_segmentation("genesis_unet3d", num_outputs=3, in_chans=1, pretrained=path, dims=3)
    state = network.state_dict()
    assert len(report.matched) == 104 and report.complete
    assert all(torch.equal(state[each], source.state_dict()[each]) for each in report.matched)
    assert "used the batch when predicting" in report.summary() and "reestimate" in report.summary()
    assert network(torch.rand(1, 1, 16, 8, 16)).shape == (1, 3, 16, 8, 16)

    encoder, report = build_network("genesis_encoder3d", num_outputs=3, in_chans=1, pretrained=path, dims=3)
    x = torch.rand(1, 1, 16, 16, 16)
    deepest: list[Tensor] = []
    source.down_tr512.register_forward_hook(lambda layer, inputs, output: deepest.append(output))
    source(x)
    assert torch.allclose(encoder.eval().forward_features(x), deepest[0]) and encoder(x).shape == (1, 3)
    assert report.complete and not report.shape_mismatch


def test_parts_and_stages() -> None:
    network = timm.create_model("genesis_unet3d", num_classes=2)
    assert head_names(network) == ("out_tr.final_conv",) and decoder_names(network)[0] == "up_tr256"
    assert list(stages(network)) == ["conv1", "block1", "block2", "block3", "decoder1", "decoder2", "decoder3"]
    assert sum(len(names) for names in stages(network).values()) == 104
    encoder = timm.create_model("genesis_encoder3d", num_classes=2)
    assert list(stages(encoder)) == ["conv1", "block1", "block2", "block3"] and head_names(encoder) == ("fc",)
    assert input_size(encoder) == (1, 64, 64, 32)
    encoder.reset_classifier(5)
    assert encoder(torch.rand(2, 1, 16, 16, 16)).shape == (2, 5)


@torch.no_grad()
def test_batch_statistics_always() -> None:
    network, x = whole(batch_statistics=True), torch.rand(2, 1, 16, 16, 16)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    evaluated = network(x)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.allclose(network.train()(x), evaluated, atol=1e-5)  # no dropout: training computes the same
    assert not torch.equal(network.down_tr64.ops[0].bn1.running_mean, before["down_tr64.ops.0.bn1.running_mean"])
    assert "depend on its cases" in network.weights_notes[0]


@torch.no_grad()
@pytest.mark.parametrize("always", [False, True])
def test_statistics_are_reestimated(always: bool) -> None:
    network, x = whole(batch_statistics=always), torch.rand(2, 1, 16, 16, 16)
    reestimate_statistics(network, [x])
    first = network.down_tr64.ops[0]
    assert torch.allclose(first.bn1.running_mean, first.conv1(x).mean((0, 2, 3, 4)), atol=1e-5)
    assert convert_ac_norm(network, list(batch_norm_layers(network)))(x).isfinite().all()


def test_under_another_decoder() -> None:
    network, _ = build_segmentation("genesis_encoder3d", num_outputs=2, in_chans=1, pretrained=False, dims=3)
    assert network(torch.rand(2, 1, 17, 16, 16)).shape == (2, 2, 17, 16, 16)


def test_a_network_with_its_own_decoder_takes_no_options_of_another() -> None:
    for option in ({"decoder_channels": [16, 8]}, {"deep_supervision": True}):
        with pytest.raises(UserError, match="has a decoder of its own"):
            build_segmentation("genesis_unet3d", num_outputs=2, in_chans=1, pretrained=False, dims=3, **option)
