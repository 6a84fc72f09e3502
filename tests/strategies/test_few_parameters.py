"""Which parameters BiasOnly and LayerScaleOnly take, and what AdaptFormer and prompts compute."""

import copy

import pytest
import timm
import torch
from support.adapted import adapted_task, drawn, images
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.strategies import AdaptFormer, BiasOnly, LayerScaleOnly, VisualPromptTuning
from transfusion_cli.strategies.parts import NetworkParts


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext", "cifar_resnet20", "beit_base_patch16_224"])
def test_biases_are_what_is_called_so(backbone):
    with torch.device("meta"):
        network = timm.create_model(backbone, num_classes=2)
    (phase,) = BiasOnly().select(NetworkParts.of(network))
    biases = {name for name, parameter in network.named_parameters() if name.endswith("bias") and parameter.ndim == 1}
    assert set(phase.trainable) == biases | set(NetworkParts.of(network).head)
    assert phase.statistics == "frozen"
    assert ("blocks.0.attn.q_bias" in phase.trainable) == backbone.startswith("beit")


def test_without_biases_there_is_nothing_to_train():
    with pytest.raises(UserError, match="BiasOnly needs a network with biases") as caught:
        BiasOnly().select(NetworkParts.of(nn.Sequential(nn.Linear(3, 3, bias=False))))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("backbone", "number"),
    [
        ("test_vit2", 16),
        ("test_convnext", 9),
        ("cait_xxs24_224", 2 * 26),
        ("beit_base_patch16_224", 24),
        ("resmlp_12_224", 24),
        ("poolformer_s12", 24),
        ("vit_small_patch14_dinov2", 24),
    ],
)
def test_layer_scale_under_all_its_names(backbone, number):
    with torch.device("meta"):
        network = timm.create_model(backbone, num_classes=2)
    parts = LayerScaleOnly().regroup(NetworkParts.of(network))
    (phase,) = LayerScaleOnly().select(parts)
    values = {name for name in parts.names if "gamma" in name or ".ls" in name or "layer_scale" in name}
    assert set(phase.trainable) == values | set(parts.head) and len(parts.scale) == number
    assert {parts.group_of(name) for name in values} == {"scale_and_shift"}


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext"])
def test_a_branch_beside_each_mlp(backbone, tmp_path):
    task = adapted_task(tmp_path, AdaptFormer(width=5, scale=0.3), backbone)
    task.build()
    task.double().eval()
    plain = drawn(backbone, num_classes=1).double().eval()
    assert torch.equal(task.network(images().double()), _with_weights(task, plain)(images().double()))
    found = [module for module in task.network.modules() if type(module).__name__ == "Mlp"]
    assert len(found) == sum("adapter.down.weight" in name for name in task.phase.trainable) > 5
    mlp = found[2]
    for parameter in mlp.adapter.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 3, 3, mlp.fc1.in_features, dtype=torch.float64)
    down, up = mlp.adapter.down, mlp.adapter.up
    branch = torch.clamp(x @ down.weight.T + down.bias, min=0) @ up.weight.T + up.bias
    want = mlp.fc2(mlp.act(mlp.fc1(x))) + 0.3 * branch
    torch.testing.assert_close(mlp(x), want)


def _with_weights(task, plain):
    state = {name: tensor for name, tensor in task.network.state_dict().items() if "adapter" not in name}
    plain.load_state_dict(state)
    return plain


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("backbone", ["test_vit", "test_vit2"])
def test_prompts_stand_behind_class_and_register_tokens(backbone, deep, tmp_path):
    task = adapted_task(tmp_path, VisualPromptTuning(4, deep=deep), backbone)
    task.build()
    network = task.network.double().eval()
    plain = _with_weights(task, drawn(backbone, num_classes=1).double().eval())
    prompts = [block.adapter.tokens for block in network.blocks if hasattr(block, "adapter")]
    assert len(prompts) == (len(plain.blocks) if deep else 1)
    assert prompts[0].abs().max() <= (6 / (3 * 16 * 16 + 64)) ** 0.5
    x = plain.norm_pre(plain._pos_embed(plain.patch_embed(images().double())))
    for number, block in enumerate(plain.blocks):
        if number < len(prompts):
            x = torch.cat([x[:, :1], prompts[number].expand(2, -1, -1), x[:, 1:]], dim=1)
        x = block(x)
        if deep:
            x = torch.cat([x[:, :1], x[:, 5:]], dim=1)
    x = x if deep else torch.cat([x[:, :1], x[:, 5:]], dim=1)
    torch.testing.assert_close(network(images().double()), plain.forward_head(plain.norm(x)))


@pytest.mark.parametrize("deep", [True, False])
def test_rotary_embeddings_turn_the_image_alone(deep):
    network = timm.create_model("vit_tiny_patch16_dinov3_qkvb", num_classes=2, depth=2, img_size=32).double().eval()
    plain = copy.deepcopy(network)
    VisualPromptTuning(3, deep=deep).adapt(network, frozenset())
    prefix = plain.num_prefix_tokens
    x, rope = plain._pos_embed(plain.patch_embed(images().double()))
    x = plain.norm_pre(x)
    for number, block in enumerate(plain.blocks):
        block.attn.num_prefix_tokens += 3
        if deep or not number:
            tokens = network.blocks[number].adapter.tokens.expand(2, -1, -1)
            x = torch.cat([x[:, :prefix], tokens, x[:, prefix:]], dim=1)
        x = block(x, rope=rope)
        if deep or number:
            x = torch.cat([x[:, :prefix], x[:, prefix + 3 :]], dim=1)
    torch.testing.assert_close(network(images().double()), plain.forward_head(plain.norm(x)))
