"""What each strategy trains, keeps and counts as carried over in a segmentation network."""

import pytest
import torch
from support.runs import moved
from support.segmentation import make_network, steps, trained_file, trained_state

from transfusion_cli.errors import UserError
from transfusion_cli.models.ac_norm import ac_norm_layers
from transfusion_cli.models.batch_norm import reestimate_statistics
from transfusion_cli.strategies import (
    ACNorm,
    BatchNormAffine,
    FullFineTuning,
    GaborInit,
    HeadOnly,
    MeanVarInit,
    RandomInit,
    Reinitialise,
    SlimHybrid,
    Truncate,
    WeightTransfusion,
)
from transfusion_cli.strategies.audit import audit
from transfusion_cli.strategies.freezing import set_modes
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import parameter_groups


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the weights lie that all tests start from."""
    return tmp_path_factory.mktemp("weights")


BACKBONES = ["cifar_resnet20", pytest.param("resnet18", marks=pytest.mark.slow)]
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def norms(names, beginning=""):
    return {
        name
        for name in names
        if name.startswith(beginning) and name.endswith((".weight", ".bias")) and _is_norm(name, names)
    }


def _is_norm(name, names):
    return f"{name.rpartition('.')[0]}.running_mean" in names


def buffers(names, beginning=""):
    return {name for name in names if name.startswith(beginning) and name.endswith(BUFFERS)}


def weights(names, beginning=""):
    return {name for name in names if name.startswith(beginning) and not name.endswith(BUFFERS)}


STRATEGIES = {
    "full": (
        lambda: FullFineTuning(),
        lambda n: weights(n) | buffers(n),
        lambda n: weights(n) | buffers(n),
    ),
    "full-frozen": (
        lambda: FullFineTuning(statistics="frozen"),
        lambda n: weights(n) | buffers(n, "decoder"),
        lambda n: weights(n),
    ),
    "head": (
        lambda: HeadOnly(),
        lambda n: weights(n, "head") | weights(n, "decoder") | buffers(n, "decoder"),
        lambda n: weights(n, "head"),
    ),
    "head-frozen-all": (
        lambda: HeadOnly(statistics="frozen_all"),
        lambda n: weights(n, "head") | weights(n, "decoder"),
        lambda n: weights(n, "head"),
    ),
    "affine": (
        lambda: BatchNormAffine(),
        lambda n: weights(n, "head") | norms(n) | weights(n, "decoder") | buffers(n, "decoder"),
        lambda n: weights(n, "head") | norms(n),
    ),
    "affine-update": (
        lambda: BatchNormAffine(statistics="update"),
        lambda n: weights(n, "head") | norms(n) | weights(n, "decoder") | buffers(n),
        lambda n: weights(n, "head") | norms(n) | buffers(n),
    ),
    "affine-of-the-decoder": (
        lambda: BatchNormAffine(decoder="affine"),
        lambda n: weights(n, "head") | norms(n) | buffers(n, "decoder"),
        lambda n: weights(n, "head") | norms(n),
    ),
    "scale-of-the-decoder": (
        lambda: BatchNormAffine(affine="scale", decoder="affine"),
        lambda n: weights(n, "head") | {name for name in norms(n) if name.endswith("weight")} | buffers(n, "decoder"),
        lambda n: weights(n, "head") | {name for name in norms(n) if name.endswith("weight")},
    ),
    "random-affine": (
        lambda: [RandomInit(), BatchNormAffine()],
        lambda n: weights(n, "head") | norms(n) | weights(n, "decoder") | buffers(n),
        lambda n: weights(n, "head") | norms(n) | weights(n, "decoder") | buffers(n),
    ),
    "meanvar-affine": (
        lambda: [MeanVarInit(), BatchNormAffine()],
        lambda n: weights(n, "head") | norms(n) | weights(n, "decoder") | buffers(n),
        lambda n: weights(n, "head") | norms(n) | weights(n, "decoder") | buffers(n),
    ),
}
"""Strategy; what moves over a fresh decoder; what moves over one that was carried over."""


@pytest.mark.parametrize("carried", [False, True], ids=["fresh", "carried"])
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_what_moves_and_what_stays_bit_identical(name, backbone, carried, folder):
    make, *expected = STRATEGIES[name]
    own = make_network(folder, make(), backbone, trained_file(folder, backbone) if carried else None)
    before, after = steps(own)
    assert moved(before, after) == expected[carried](set(before))
    assert set(own.plan[-1].trainable) == {n for n in moved(before, after) if not n.endswith(BUFFERS)}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_counts_as_carried_over_and_as_new(backbone, folder):
    own = make_network(folder, FullFineTuning(), backbone)
    names = set(own.network.state_dict())
    assert own.carried == {name for name in names if name.startswith("encoder.")}
    assert set(own.parts.new) == weights(names, "head") | weights(names, "decoder")
    assert set(own.parts.scale + own.parts.shift) == norms(names, "encoder")
    assert own.parts.fresh == {
        name.removesuffix(".running_mean") for name in buffers(names, "decoder") if "_mean" in name
    }

    own = make_network(folder, FullFineTuning(), backbone, trained_file(folder, backbone))
    assert own.carried == names - weights(names, "head")
    assert set(own.parts.new) == weights(names, "head") and not own.parts.fresh
    assert set(own.parts.scale + own.parts.shift) == norms(names)
    assert set(own.parts.decoder) == weights(names, "decoder")


def test_layers_of_the_decoder_are_new_one_by_one(folder):
    file = trained_file(folder)
    own = make_network(folder, BatchNormAffine(), pretrained=file, decoder_channels=[32, 20])
    before, after = steps(own)
    names = set(before)
    new = weights(names, "head") | weights(names, "decoder.blocks.1") | buffers(names, "decoder.blocks.1")
    assert moved(before, after) == new | norms(names)
    group = own.parts.group_of
    assert group("decoder.blocks.0.conv1.0.weight") == "decoder" == group("decoder.blocks.1.conv1.1.weight")
    assert group("decoder.blocks.0.conv1.1.weight") == "scale_and_shift"


def test_groups_have_rates_of_their_own(folder):
    rates = {"head": 4.0, "decoder": 3.0, "scale_and_shift": 2.0}
    own = make_network(folder, FullFineTuning(lr=rates))
    groups = parameter_groups(own.network, own.plan[0], own.parts, lr=1.0, weight_decay=0.1)
    assert {group["name"].split("/")[0]: group["lr"] for group in groups} == {**rates, "rest": 1.0}
    named = {id(parameter): name for name, parameter in own.network.named_parameters()}
    held = {g["name"]: {named[id(p)] for p in g["params"]} for g in groups}
    assert held["decoder"] | held["decoder/no_decay"] == set(own.parts.decoder)
    assert held["decoder/no_decay"] == norms(set(own.network.state_dict()), "decoder")


@pytest.mark.parametrize("strategy", [BatchNormAffine(head_epochs=1), FullFineTuning(head_epochs=1)])
def test_the_head_phase_trains_what_is_new(strategy, folder):
    own = make_network(folder, strategy)
    assert own.plan[0].name == "head" and own.plan[0].trainable == own.parts.new
    before, after = steps(own, phase=0)
    names = set(before)
    assert moved(before, after) == set(own.parts.new) | buffers(names, "decoder")


def test_the_head_phase_of_the_ablation_trains_no_convolution_of_the_decoder(folder):
    own = make_network(folder, BatchNormAffine(decoder="affine", head_epochs=1))
    names = set(own.network.state_dict())
    assert set(own.plan[0].trainable) == weights(names, "head") | norms(names, "decoder")


def test_modes_of_the_modules(folder):
    own = make_network(folder, HeadOnly(), backbone_args={}, pretrained=trained_file(folder))
    set_modes(own.network, own.plan[0], own.parts)
    training = {name for name, module in own.network.named_modules() if module.training}
    assert training == {"", "head", "head_drop"}
    own = make_network(folder, HeadOnly())
    set_modes(own.network, own.plan[0], own.parts)
    assert not own.network.encoder.training and own.network.decoder.blocks[0].conv1.training
    assert own.network.decoder.blocks[1].conv2[1].training


@pytest.mark.parametrize("carried", [pytest.param(False, marks=pytest.mark.slow), True], ids=["fresh", "carried"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_ac_norm_takes_pretrained_layers_alone(backbone, carried, folder):
    """A fresh layer of N channels would have C = 1/N throughout, and double its scale."""
    own = make_network(
        folder, [ACNorm(), BatchNormAffine()], backbone, trained_file(folder, backbone) if carried else None
    )
    plain = make_network(folder, BatchNormAffine(), backbone, trained_file(folder, backbone) if carried else None)
    layers = norms(set(plain.network.state_dict()), "" if carried else "encoder")
    assert set(ac_norm_layers(own.network)) == {name.rpartition(".")[0] for name in layers}
    assert len(own.parts.scale) == len(plain.parts.scale) and len(own.parts.new) == len(plain.parts.new)
    if not carried:  # the decoder is that of the plain network, tensor by tensor
        state, expected = own.network.state_dict(), plain.network.state_dict()
        assert all(torch.equal(state[name], expected[name]) for name in expected if name.startswith("decoder."))
    before, after = steps(own)
    still = {name for name in before if name not in moved(before, after)}
    assert {name for name in before if "source_" in name} <= still
    assert {name for name in before if name.startswith("decoder") and name.endswith("conv1.0.weight")} <= (
        still if carried else moved(before, after)
    )
    with torch.no_grad():
        outputs = own.network.eval()(torch.ones(1, 3, 33, 33))
        ACNorm().finalize(own.network)
        torch.testing.assert_close(own.network(torch.ones(1, 3, 33, 33)), outputs)
    assert set(own.network.state_dict()) == set(plain.network.state_dict())


def test_mean_var_draws_a_carried_decoder_and_leaves_a_fresh_one(folder):
    source = trained_state()
    own = make_network(folder, MeanVarInit(), pretrained=trained_file(folder))
    state, name = own.network.state_dict(), "decoder.blocks.0.conv1.0.weight"
    torch.testing.assert_close(state[name].std(), source[name].std(), rtol=0.05, atol=0)
    assert not torch.equal(state[name], source[name])
    assert torch.equal(state["decoder.blocks.0.conv1.1.weight"], torch.ones(32))
    random = make_network(folder, RandomInit()).network.state_dict()
    fresh = make_network(folder, MeanVarInit()).network.state_dict()
    assert all(torch.equal(fresh[name], random[name]) for name in fresh if name.startswith(("decoder.", "head.")))


@pytest.mark.parametrize(
    ("strategy", "stages"),
    [
        (lambda: WeightTransfusion("block2"), ("block3", "decoder1", "decoder2")),
        (lambda: WeightTransfusion("decoder1"), ("decoder2",)),
        (lambda: Reinitialise(["block1", "decoder2"]), ("block1", "decoder2")),
    ],
)
def test_stages_of_the_decoder_follow_those_of_the_encoder(strategy, stages, folder):
    tensors = {
        "block1": "encoder.layer1.",
        "block3": "encoder.layer3.",
        "decoder1": "decoder.blocks.0.",
        "decoder2": "decoder.blocks.1.",
    }
    own = make_network(folder, [strategy(), BatchNormAffine()], pretrained=trained_file(folder))
    names = set(own.network.state_dict())
    fresh = tuple(tensors[stage] for stage in stages)
    lost = {name for name in names if name.startswith((*fresh, "head."))}
    assert names - own.carried == lost
    # what is lost of the decoder trains whole; of the encoder scale and shift do, as in a classifier
    assert set(own.parts.new) == weights(lost, "head") | weights(lost, "decoder")
    assert set(own.parts.fresh) == {n.removesuffix(".running_mean") for n in lost if n.endswith("_mean")}


def test_stages_are_named_where_one_is_wrong(folder):
    with pytest.raises(UserError, match="no stage 'decoder3'\nDid you mean decoder"):
        make_network(folder, WeightTransfusion("decoder3"), pretrained=trained_file(folder))


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_truncate_cuts_the_encoder(decoder, folder):
    own = make_network(
        folder,
        [Truncate("block2"), BatchNormAffine()],
        "resnet18",
        decoder=decoder,
        decoder_channels=None,
        deep_supervision=decoder == "fpn",
    )
    names = set(own.network.state_dict())
    assert not any(name.startswith(("encoder.layer3", "encoder.layer4")) for name in names)
    assert own.network.decoder.widths == ((64, 32, 16) if decoder == "unet" else (64, 64, 64))
    assert len(own.network.deep_heads) == (0 if decoder == "unet" else 2)
    assert set(own.parts.new) == weights(names, ("head", "deep_heads", "decoder"))
    before, after = steps(own)
    assert moved(before, after) == set(own.plan[0].trainable) | buffers(names, "decoder")
    assert own.network.eval()(torch.rand(1, 3, 65, 67)).shape == (1, 2, 65, 67)


def test_gabor_filters_are_the_encoder_s_first(folder):
    own = make_network(folder, GaborInit())
    assert own.network.encoder.conv1.weight.mean((2, 3)).abs().max() < 1e-6 and not own.carried


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        (SlimHybrid("block1"), {}, "SlimHybrid is for networks that classify images"),
        (Truncate("block1"), {"carried": True}, "Truncate leaves a decoder without stages"),
        (ACNorm(), {"backbone": "convnext_atto", "pretrained": False}, "ACNorm needs BatchNorm"),
    ],
)
def test_strategies_that_cannot_apply_say_so_in_two_lines(strategy, options, message, folder):
    if options.pop("carried", False):
        options["pretrained"] = trained_file(folder)
    with pytest.raises(UserError, match=message) as caught:
        make_network(folder, strategy, **options)
    assert len(str(caught.value).splitlines()) == 2


def test_the_audit_shows_encoder_decoder_and_head(folder):
    own = make_network(folder, BatchNormAffine(), "resnet50", False)
    table = audit(own.network, own.plan, own.parts)
    assert "of these 0.6% encoder, 99.4% decoder, 0.0% head" in table
    affine = BatchNormAffine(decoder="affine").select(own.parts)
    assert "96.3% encoder, 3.6% decoder, 0.1% head" in audit(own.network, affine, own.parts)


@pytest.mark.slow
def test_parameters_that_nothing_depends_on_never_train(folder):
    for strategy in (FullFineTuning(), BatchNormAffine(), [ACNorm(), BatchNormAffine()]):
        own = make_network(folder, strategy, "efficientnet_b0")
        idle = own.network.unused
        assert len(idle) == 3 and not idle & set(own.parts.names) and not idle & set(own.plan[0].trainable)
        assert not any(name.startswith("encoder.bn2") for name in own.parts.batch_norm)
        set_modes(own.network, own.plan[0], own.parts)
        own.network(torch.randn(2, 3, 40, 40)).sum().backward()
        parameters = dict(own.network.named_parameters())
        assert all(parameters[name].grad is not None for name in own.plan[0].trainable)


def test_reestimated_statistics_of_a_layer_that_sees_nothing_stay(folder):
    own = make_network(folder, HeadOnly(statistics="reestimate"), "efficientnet_b0")
    before = {name: tensor.clone() for name, tensor in own.network.state_dict().items()}
    reestimate_statistics(own.network, [torch.randn(2, 3, 40, 40)])
    changed = moved(before, own.network.state_dict())
    assert changed == {n for n in buffers(set(before)) if not n.startswith("encoder.bn2.")}
    assert all(torch.isfinite(tensor).all() for tensor in own.network.state_dict().values())


def test_a_network_made_for_a_checkpoint_has_the_same_parts(folder):
    file = trained_file(folder)
    for strategy in (BatchNormAffine(), [WeightTransfusion("decoder1"), ACNorm(), BatchNormAffine()]):
        own = make_network(folder, strategy, pretrained=file, decoder_channels=[32, 20])
        assert isinstance(own.parts, NetworkParts)
        recipe_again = _again(own, strategy, file)
        assert recipe_again.parts == own.parts and recipe_again.plan == own.plan


def _again(own, strategy, file):
    from transfusion_cli.strategies.composed import as_strategy
    from transfusion_cli.tasks.network import SegmentationRecipe

    description = {"base": own.base.to_dict(), "input_size": list(own.input_size), "carried": sorted(own.carried)}
    recipe = SegmentationRecipe("cifar_resnet20", file, 2, 3, 0.1, None, 7, decoder_channels=[32, 20])
    return recipe.make(as_strategy(strategy), description)
