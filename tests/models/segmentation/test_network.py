"""Any backbone under a decoder: sizes, maps, names, and what it says of itself."""

import pytest
import timm
import torch
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import decoder_names, first_convolution, head_names, input_size, normalisation
from transfusion_cli.models.segmentation.build import build_segmentation
from transfusion_cli.models.segmentation.fpn import FPNDecoder
from transfusion_cli.models.segmentation.unet import UNetDecoder
from transfusion_cli.models.stages import prefix, stage_of_tensors, stages

BACKBONES = {
    "cifar_resnet20": (0, 1),
    "cbr_tiny": (1, 1),
    "resnet18": (1, 1),
    "densenet121": (1, 1),
    "mobilenetv3_small_100": (1, 1),
    "convnext_atto": (2, 1),
    "darknet17": (0, 1),
    "dla34": (0, 32),
}
"""How often the finest map of each halves the image, and of what the sides must be multiples inside."""


def build(backbone="cifar_resnet20", **kwargs):
    torch.manual_seed(0)
    return build_segmentation(backbone, **{"num_outputs": 3, "pretrained": False, **kwargs})[0]


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_output_has_the_size_of_the_image(backbone, decoder):
    network = build(backbone, decoder=decoder).eval()
    assert (network.maps.halvings, network.maps.multiple) == BACKBONES[backbone]
    for size in ((65, 67), (64, 96)):
        with torch.no_grad():
            assert network(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_inception_whose_maps_are_no_fractions_of_the_image():
    network = build("inception_v3").eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 97, 99)).shape == (1, 3, 97, 99)


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_every_parameter_but_the_unused_ones_has_a_gradient(decoder):
    network = build("efficientnet_b0", decoder=decoder)
    network(torch.rand(2, 3, 64, 64)).sum().backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == network.unused == {f"encoder.{name}" for name in ("conv_head.weight", "bn2.weight", "bn2.bias")}


def test_a_padded_image_gives_the_same_logits_as_one_padded_before():
    network = build("dla34").eval()
    image = torch.rand(1, 3, 60, 64)
    whole = nn.functional.pad(image, (0, 0, 0, 4), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(network(image), network(whole)[:, :, :60])


@pytest.mark.parametrize("decoder", [UNetDecoder, FPNDecoder])
@pytest.mark.parametrize(
    ("dims", "sizes"), [(2, [(33, 35), (17, 18), (9, 9)]), (3, [(9, 33, 35), (9, 17, 18), (5, 9, 9)])]
)
def test_decoders_know_no_dimension(decoder, dims, sizes):
    network = decoder(dims, (4, 6, 8), 1)
    size = tuple(2 * side - 1 for side in sizes[0])
    found = network([torch.rand(2, width, *s) for width, s in zip((4, 6, 8), sizes, strict=True)], size)
    assert [maps.shape[1] for maps in found] == list(network.widths) and len(found) == len(network.step_names)
    assert found[-1].shape[2:] == (size if decoder is UNetDecoder else sizes[0])
    kinds = {type(module) for module in network.modules()}
    assert {nn.Conv2d, nn.BatchNorm2d} <= kinds if dims == 2 else {nn.Conv3d, nn.BatchNorm3d} <= kinds


def test_the_unet_on_resnet50_has_the_parameters_of_others():
    with torch.device("meta"):
        decoder = UNetDecoder(2, (64, 256, 512, 1024, 2048), 1)
    norms = [module for module in decoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 9_012_928
    assert (len(norms), sum(2 * norm.num_features for norm in norms)) == (10, 1984)


def test_deep_supervision_answers_in_training_alone():
    network = build(deep_supervision=True, decoder="unet")
    image = torch.rand(2, 3, 33, 35)
    outputs = network(image)
    assert [tuple(logits.shape) for logits in outputs] == [(2, 3, 33, 35), (2, 3, 17, 18)]
    assert network.eval()(image).shape == (2, 3, 33, 35)
    assert head_names(network) == ("head", "deep_heads.0")
    sum(logits.sum() for logits in outputs).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_dropout_stands_before_the_head():
    network = build(drop_rate=0.5)
    assert network.head_drop.p == 0.5 and network.encoder.drop_rate == 0
    network.eval().head_drop.train()
    image = torch.rand(1, 3, 32, 32)
    assert not torch.equal(network(image), network(image))


def test_what_it_says_of_itself_is_what_its_encoder_says():
    network, encoder = build("resnet18", in_chans=1), timm.create_model("resnet18", num_classes=0, in_chans=1)
    assert {name.removeprefix("encoder.") for name in network.state_dict() if name.startswith("encoder.")} == set(
        encoder.state_dict()
    )
    assert head_names(network) == ("head",) and decoder_names(network) == tuple(f"decoder.blocks.{i}" for i in range(5))
    assert first_convolution(network) == ("encoder.conv1", network.encoder.conv1)
    assert input_size(network) == input_size(encoder) and normalisation(network) == normalisation(encoder)
    own, found = stages(encoder), stages(network)
    assert list(found) == [*own, *(f"decoder{i}" for i in range(1, 6))]
    assert all(found[stage] == tuple(f"encoder.{name}" for name in own[stage]) for stage in own)
    assert sum(map(len, found.values())) == len(network.state_dict()) - 2
    assert "decoder.blocks.0.conv1.0.weight" in prefix(network, "decoder1") - prefix(network, "block4")
    assert stage_of_tensors(network)["head.weight"] == "head"


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mixer_s32_224"])
def test_transformers_are_refused_by_name(backbone):
    with pytest.raises(UserError, match=f"{backbone} cannot be an encoder.*\n.*resnet34") as caught:
        build(backbone, pretrained=True)  # before anything is fetched
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "unett"}, "Unknown decoder 'unett'\nDid you mean unet"),
        ({"decoder_channels": [8]}, r"1 numbers.*2 steps\n.*\[32, 16\]"),
        ({"decoder_channels": [8, 0]}, "numbers over 0"),
        ({"decoder": "fpn", "decoder_channels": [8, 9]}, "one width, not 2"),
    ],
)
def test_decoders_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


@pytest.mark.parametrize(("decoder", "channels", "widths"), [("unet", [9, 5], (9, 5)), ("fpn", [7], (7, 7, 7))])
def test_widths_of_the_decoder(decoder, channels, widths):
    network = build(decoder=decoder, decoder_channels=channels)
    assert network.decoder.widths == widths and network.head.in_channels == widths[-1]


@pytest.mark.parametrize("backbone", ["cifar_resnet20", "cbr_tiny"])
def test_our_backbones_give_their_maps_in_timm_s_way(backbone):
    network = timm.create_model(backbone).eval()
    image = torch.rand(1, 3, 48, 48)
    last, maps = network.forward_intermediates(image)
    torch.testing.assert_close(last, network.forward_features(image))
    assert torch.equal(maps[-1], last)
    assert [each.shape[1] for each in maps] == [info["num_chs"] for info in network.feature_info]
    (second,) = network.forward_intermediates(image, indices=[1], stop_early=True, intermediates_only=True)
    assert torch.equal(second, maps[1])
    assert len(network.forward_intermediates(image, indices=2, intermediates_only=True)) == 2
