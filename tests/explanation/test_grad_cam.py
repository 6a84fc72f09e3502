"""Maps against their definition, against class activation maps, and against MONAI's."""

import pytest
import torch
from monai.visualize import GradCAM as MonaiGradCAM
from support.adapted import adapted_task, drawn
from torch import nn

import transfusion_cli.models  # noqa: F401  registers our own networks
from transfusion_cli.errors import UserError
from transfusion_cli.explanation.grad_cam import GradCAM
from transfusion_cli.strategies.visual_prompt_tuning import VisualPromptTuning

STEP = 1e-5


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def eval64(network):
    return network.double().eval().requires_grad_(False)


def of_class(number):
    return lambda logits: logits[:, number]


class Shallow(nn.Module):
    """Features by one convolution, and a head that is bent."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Sequential(nn.Linear(6 * 20, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward_features(self, x):
        return self.features(x).sigmoid()

    def forward_head(self, x):
        return self.head(x.flatten(1))

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


def by_definition(features, score):
    """Equations 1 and 2, each derivative as a difference: features (1, C, h, w), score of them."""
    weights = torch.zeros(features.shape[1], dtype=torch.float64)
    for channel in range(features.shape[1]):
        for row in range(features.shape[2]):
            for column in range(features.shape[3]):
                step = torch.zeros_like(features)
                step[0, channel, row, column] = STEP
                weights[channel] += (score(features + step) - score(features - step)) / (2 * STEP)
    weights /= features.shape[2] * features.shape[3]
    return (weights[:, None, None] * features[0]).sum(0).clamp(min=0)


def test_it_is_what_the_paper_says():
    network, images = eval64(Shallow()), noise(3, 3, 4, 5)
    maps, logits = GradCAM(network)(images, of_class(1))
    torch.testing.assert_close(logits, network(images))
    for at in range(3):
        features = network.forward_features(images[at : at + 1])
        want = by_definition(features, lambda maps: network.forward_head(maps)[0, 1])
        assert want.max() > 1e-4
        torch.testing.assert_close(maps[at], want, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "channels_last", "kwargs"),
    [
        ("cifar_resnet20", False, {}),
        ("test_resnet", False, {}),
        (
            "swin_tiny_patch4_window7_224",
            True,
            {"img_size": 32, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (2, 2)},
        ),
    ],
)
def test_behind_pooling_and_a_linear_classifier_it_is_the_class_activation_map(name, channels_last, kwargs):
    network = eval64(drawn(name, num_classes=4, **kwargs))
    side = 64 if name == "test_resnet" else 32
    images = noise(2, 3, side, side)
    features = network.forward_features(images)
    features = features.permute(0, 3, 1, 2) if channels_last else features
    layer = network.get_classifier()
    layer = layer if isinstance(layer, nn.Linear) else next(m for m in layer.modules() if isinstance(m, nn.Linear))
    places = features.shape[2] * features.shape[3]
    some = False
    for number in range(4):
        maps, _ = GradCAM(network)(images, of_class(number))
        want = torch.einsum("bchw,c->bhw", features, layer.weight[number]).relu() / places
        torch.testing.assert_close(maps, want, atol=1e-10, rtol=1e-8)
        some |= bool(want.max() > 0)
    assert some


def test_monai_finds_the_same():
    network, images = drawn("test_resnet", num_classes=4).eval(), noise(2, 3, 64, 64).float()
    some = False
    for number in range(4):
        want = MonaiGradCAM(network, "layer4").compute_map(images, class_idx=number)[:, 0].detach()
        maps, _ = GradCAM(network)(images, of_class(number))
        assert maps.shape == (2, 2, 2)
        torch.testing.assert_close(maps, want, atol=1e-6, rtol=1e-4)
        some |= bool(want.max() > 0)
    assert some


def moved_together(network, image, places, step):
    """The logits where the image's tokens (places of them) before the last block are moved by steps (B, 1, C)."""
    hook = network.blocks[-1].register_forward_pre_hook(
        lambda _, inputs: (
            torch.cat([inputs[0][:, :-places], inputs[0][:, -places:] + step], dim=1),
            *inputs[1:],
        ),
        prepend=True,
    )
    try:
        return network(image)
    finally:
        hook.remove()


def tokens_before_the_last_block(network, image):
    found = []
    hook = network.blocks[-1].register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]), prepend=True)
    network(image)
    hook.remove()
    return found[0]


@pytest.mark.parametrize("prompts", ["none", "deep", "shallow"])
@pytest.mark.parametrize("backbone", ["cifar_vit6", "test_vit4"])
def test_tokens_of_a_transformer_in_their_grid(backbone, prompts, tmp_path):
    """A channel's weight is how the score changes as all its places move together, over their number."""
    if prompts == "none":
        network = drawn(backbone, num_classes=3, **({} if backbone == "cifar_vit6" else {"img_size": 32}))
    else:
        given = None if backbone == "cifar_vit6" else {"img_size": 32}
        transfer = VisualPromptTuning(tokens=3, deep=prompts == "deep")
        task = adapted_task(tmp_path, transfer, backbone, backbone_args=given, kind="multiclass")
        task.build()
        network = task.network
    network, image = eval64(network), noise(1, 3, 32, 32)
    rows = 32 // network.patch_embed.patch_size[0]
    tokens = tokens_before_the_last_block(network, image)[0, -rows * rows :]
    channels = tokens.shape[1]
    steps = STEP * torch.eye(channels, dtype=torch.float64)[:, None]  # an image for each channel
    many = image.expand(channels, -1, -1, -1)
    up, down = (moved_together(network, many, rows * rows, sign * steps)[:, 1] for sign in (1, -1))
    weights = (up - down) / (2 * STEP) / rows**2
    want = (tokens @ weights).relu().unflatten(0, (rows, rows))
    maps, logits = GradCAM(network)(image, of_class(1))
    assert want.max() > 0
    torch.testing.assert_close(maps[0], want, atol=1e-8, rtol=1e-5)
    torch.testing.assert_close(logits, network(image))


def test_no_hook_stays():
    network = drawn("cifar_vit6").eval()
    before = len(network.blocks[-1]._forward_pre_hooks)
    GradCAM(network)(noise(1, 3, 32, 32).float(), of_class(0))
    assert len(network.blocks[-1]._forward_pre_hooks) == before


def test_networks_without_a_map_are_refused():
    network = drawn("test_resnet").eval()
    with pytest.raises(UserError, match=r"1 x 1 cells of images of 32 x 32.*\n.*--data.image_size 128"):
        GradCAM(network)(noise(1, 3, 32, 32).float(), of_class(0))
    with pytest.raises(UserError, match="Sequential does not say"):
        GradCAM(nn.Sequential())
    hiera = drawn("hiera_tiny_224", embed_dim=8, num_heads=1, img_size=(64, 64)).eval()  # its tokens are in no rows
    with pytest.raises(UserError, match="not its patches"):
        GradCAM(hiera)(noise(1, 3, 64, 64).float(), of_class(0))
    network.forward_features = lambda images: torch.zeros(len(images), 5)
    with pytest.raises(UserError, match="no map of features"):
        GradCAM(network)(noise(1, 3, 64, 64).float(), of_class(0))
