"""What the source's classifier says of new images."""

import pytest
import timm
import torch
from support.networks import source_file
from support.regularised import a_batch, built, check_whole_life, refused, term
from support.runs import make_task

from transfusion_cli.strategies import LWF, HeadOnly, Truncate


def test_the_term_is_that_of_the_paper(tmp_path):
    task = built(tmp_path, LWF(weight=0.7, temperature=2.0))
    batch = a_batch(task)
    source = timm.create_model("cifar_resnet20", num_classes=10)
    source.load_state_dict(torch.load(source_file(tmp_path), weights_only=True))
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    found = term(task, batch)
    source = source.double().eval()
    features = task.network.forward_head(task.network.forward_features(batch["image"]), pre_logits=True)
    now = task.network.source_head(features).detach()
    before = source(batch["image"]).detach()
    expected = 0.0
    for image in range(len(now)):
        p, q = ((logits[image] / 2).exp() / (logits[image] / 2).exp().sum() for logits in (before, now))
        expected += 0.7 / len(now) * sum((a * (a / b).log()).item() for a, b in zip(p, q, strict=True))
    torch.testing.assert_close(found.item(), expected, rtol=1e-9, atol=0)
    found.backward()
    assert task.network.source_head.weight.grad.abs().sum() > 0 and task.network.conv1.weight.grad.abs().sum() > 0


def test_the_source_says_what_it_said(tmp_path):
    task = built(tmp_path, LWF())
    source = timm.create_model("cifar_resnet20", num_classes=10)
    source.load_state_dict(torch.load(source_file(tmp_path), weights_only=True))
    images = a_batch(task)["image"]
    assert torch.equal(task.transfer.strategies[0].source(images), source.double().eval()(images))
    assert "source_head.weight" in task.phase.trainable and task.transferred.source_classes == 10


def test_whole_life(tmp_path):
    task = check_whole_life(tmp_path, LWF)
    assert task.network.source_head.weight.shape == (10, 64)


def test_published_weights_have_their_classifier(tmp_path):
    task = make_task(tmp_path, [LWF(), HeadOnly()], backbone="cifar_resnet20.textures", pretrained=True)
    task.build()
    assert task.network.source_head.out_features == 20 and task.network.fc.out_features == 1


def test_without_the_classifier_it_is_refused(tmp_path):
    state = torch.load(source_file(tmp_path), weights_only=True)
    torch.save({name: value for name, value in state.items() if not name.startswith("fc.")}, tmp_path / "body.pth")
    refused(tmp_path, LWF(), "here is none", pretrained=str(tmp_path / "body.pth"))
    refused(tmp_path, LWF(), "here is none", pretrained=False)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_features_of_another_width_are_refused(order, tmp_path):
    strategies = LWF(), Truncate("block2")
    refused(tmp_path, [strategies[place] for place in order], "does not fit the 32 features")
