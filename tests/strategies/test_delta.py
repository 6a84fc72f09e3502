"""Feature maps that stay near those of the source."""

import math

import pytest
import timm
import torch
from support.networks import source_file
from support.regularised import a_batch, built, check_whole_life, refused, term
from support.runs import make_segmentation
from torch import nn
from torch.nn import functional as F

from transfusion_cli.errors import UserError
from transfusion_cli.models.stage_ends import stage_ends
from transfusion_cli.strategies import DELTA
from transfusion_cli.strategies.channel_attention import channel_attention

LAYERS = ["layer1.2.conv2", "layer2.0.conv2"]


def maps_of(network, images):
    """Outputs of the layers."""
    found = {}
    handles = [
        network.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: found.update({name: out}))
        for name in LAYERS
    ]
    network(images)
    for handle in handles:
        handle.remove()
    return found


def test_the_term_is_that_of_the_paper(tmp_path):
    strategy = DELTA(alpha=0.02, beta=0.3, layers=LAYERS, epochs=1, batches=1)
    task = built(tmp_path, strategy)
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    batch = a_batch(task)
    found = term(task, batch)
    source = timm.create_model("cifar_resnet20", num_classes=10)
    source.load_state_dict(torch.load(source_file(tmp_path), weights_only=True))
    theirs, ours = maps_of(source.double().eval(), batch["image"]), maps_of(task.network, batch["image"])
    expected = 0.3 / 2 * sum((tensor**2).sum() for tensor in task.network.fc.parameters())
    for name in LAYERS:
        count, channels, height, width = ours[name].shape
        for image in range(count):
            for channel in range(channels):
                square = ((ours[name] - theirs[name])[image, channel] ** 2).sum()
                weight = strategy.weights[name][channel] * channels / (height * width)
                expected = expected + 0.02 * 64 / count * 0.5 * weight * square
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    found.backward()
    assert task.network.conv1.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in strategy.source.parameters())


@pytest.mark.parametrize(("name", "layer"), [("cifar_resnet20", "layer1.0.conv2"), ("test_vit", "blocks.5.mlp.fc2")])
def test_attention_is_the_softmax_of_what_each_channel_is_worth(name, layer):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=3, **({"img_size": 32} if "vit" in name else {})).double().eval()
    images, target = torch.randn(12, 3, 32, 32).double(), torch.randint(0, 3, (12,))
    batches = lambda: [(images[:6], target[:6]), (images[6:], target[6:])]  # noqa: E731
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = channel_attention(network, [layer], batches, F.cross_entropy, 3, epochs=3, limit=2, seed=5)[layer]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    classifier, module = trained(network, batches(), epochs=3, seed=5), network.get_submodule(layer)
    whole = [F.cross_entropy(classifier(features(network, some)), truth).item() for some, truth in batches()]
    worth = []
    for channel in range(len(module.weight)):
        kept = [(tensor, tensor.detach().clone()) for tensor in module.parameters()]
        with torch.no_grad():
            for tensor, _ in kept:
                tensor[channel] = 0
            without = [F.cross_entropy(classifier(features(network, some)), truth).item() for some, truth in batches()]
            for tensor, value in kept:
                tensor.copy_(value)
        worth.append((sum(without) - sum(whole)) / 2)
    mean = sum(worth) / len(worth)
    spread = math.sqrt(sum((value - mean) ** 2 for value in worth) / len(worth))
    parts = [math.exp((value - mean) / spread / 5) for value in worth]
    expected = torch.tensor([part / sum(parts) for part in parts], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)


def features(network, images):
    return network.forward_head(network.forward_features(images), pre_logits=True)


def trained(network, batches, epochs, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = nn.Linear(network.num_features, 3).double()
        velocity = [torch.zeros_like(parameter) for parameter in classifier.parameters()]
        for epoch in range(epochs):
            for number in torch.randperm(len(batches)):
                images, target = batches[number]
                loss = F.cross_entropy(classifier(features(network, images).detach()), target)
                gradients = torch.autograd.grad(loss, list(classifier.parameters()))
                with torch.no_grad():
                    for parameter, speed, gradient in zip(classifier.parameters(), velocity, gradients, strict=True):
                        speed.mul_(0.9).add_(gradient)
                        parameter -= 0.01 * 0.1 ** (epoch / 6) * (gradient + 0.9 * speed)
    return classifier


def test_whole_life(tmp_path):
    task = check_whole_life(tmp_path, lambda: DELTA(layers=LAYERS[:1], epochs=1, batches=1))
    weights = task.transfer.strategies[0].weights
    assert list(weights) == LAYERS[:1] and all(abs(weight.sum() - 1) < 1e-5 for weight in weights.values())
    assert weights[LAYERS[0]].std() > 0


@pytest.mark.parametrize("dims", [2, 3])
def test_without_attention_channels_count_alike(dims, tmp_path):
    strategy = DELTA(attention=False)
    task = built(tmp_path, strategy, dims=dims)
    assert [weight.tolist() for weight in strategy.weights.values()] == [[1 / n] * n for n in (16, 32, 64)]
    batch = a_batch(task)
    if dims == 3:
        batch["image"] = batch["image"][:, :, :8, None, :8].repeat(1, 1, 1, 8, 1)
    task.eval()
    task.network.training = True  # its head alone differs from the source's, and that decays
    decay = 0.005 * sum(tensor.square().sum() for tensor in task.network.fc.parameters())
    torch.testing.assert_close(term(task, batch), decay)


def test_the_last_layers_of_stages():
    assert stage_ends(timm.create_model("resnet50")) == [f"layer{n}.{b}.conv3" for n, b in enumerate((2, 3, 5, 2), 1)]
    assert stage_ends(timm.create_model("test_vit"))[-1] == "blocks.5.mlp.fc2"
    assert stage_ends(timm.create_model("test_resnet"))[0] == "layer1.0.conv2"  # and not that of the shortcut
    assert stage_ends(timm.create_model("test_convnext"))[-1] == "stages.3.blocks.1.mlp.fc2"


def test_what_cannot_be_compared_is_refused(tmp_path):
    refused(tmp_path, DELTA(layers=["bn1"]), "no convolution or linear layer bn1")
    with pytest.raises(UserError, match="this one segments") as error:
        make_segmentation(tmp_path, DELTA()).build()
    assert len(str(error.value).splitlines()) == 2
