"""Candidates that are loaded."""

import pytest
import timm
import torch
from support.commands import ran_once
from support.networks import randomised, source_file

from transfusion_cli.data.feature_store import feature_key
from transfusion_cli.errors import UserError
from transfusion_cli.tasks.restore import restore
from transfusion_cli.transferability.candidates import Candidate, read_candidates
from transfusion_cli.transferability.source import Source, weights_file

MODEL = {"backbone": "cifar_resnet20", "target": "binary", "class_names": ["no", "yes"], "dims": 2, "in_chans": 3}
IMAGES = torch.randint(0, 256, (5, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def load(text, **model):
    (candidate,) = read_candidates([text])
    return Source.load(candidate, MODEL | model)


def facts(source):
    return feature_key(*source.facts(torch.device("cpu")))


def test_features_and_the_source_s_own_classes(tmp_path):
    source = load(f"cifar_resnet20={source_file(tmp_path)}")
    whole = randomised().eval()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        inputs = (IMAGES.float().expand(-1, 3, -1, -1) / 255 - mean) / std
        maps = whole.forward_features(inputs)
        expected = whole.forward_head(maps, pre_logits=True), whole(inputs).softmax(dim=1)
    found = source(IMAGES)
    torch.testing.assert_close((found, source.chances(found)), expected)
    assert source.classes == 10 and source.size == (32, 32)
    assert source.parameters == sum(p.numel() for n, p in whole.named_parameters() if not n.startswith("fc."))
    assert not source.network.training and not any(p.requires_grad for p in source.network.parameters())


def test_drawn_weights_have_no_classes():
    first, same, other = (load(f"cifar_resnet20=random:{seed}") for seed in (1, 1, 2))
    assert first.classes == 0 and not first.carried and first(IMAGES).shape == (5, 64)
    assert facts(first) == facts(same) != facts(other)
    assert facts(load("random:1")) == facts(first)


def test_the_head_does_not_count(tmp_path):
    file = source_file(tmp_path)
    state = torch.load(file, weights_only=True)
    torch.save({name: value for name, value in state.items() if not name.startswith("fc.")}, tmp_path / "headless.pth")
    with_head, headless = load(f"cifar_resnet20={file}"), load(f"cifar_resnet20={tmp_path / 'headless.pth'}")
    assert headless.classes == 0 and facts(headless) == facts(with_head)
    assert facts(headless) == facts(load(f"cifar_resnet20={tmp_path / 'headless.pth'}", class_names=list("abc")))


def test_an_image_size_that_the_architecture_fixes():
    source = load("vit_tiny_patch16_224=random:0", image_size=32)
    assert source.size == (32, 32)
    assert source(torch.zeros(1, 1, 32, 32, dtype=torch.uint8)).shape == (1, 192)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Runs: one that learned two classes with AC-Norm, and one that tells three."""
    folder = tmp_path_factory.mktemp("home")
    given = f"--model.pretrained {source_file(folder)}"
    ran_once(folder, f"fit --config base.yaml --name two --model.transfer ACNorm {given}")
    ran_once(folder, f"fit --config base.yaml --name three --data.kind multiclass {given}")
    return folder / "lightning_logs"


def features_of(task):
    with torch.inference_mode():
        return task.network.forward_head(task.network.forward_features(task.normalise(IMAGES)), pre_logits=True)


def test_a_run_has_its_layers_folded_and_no_classes_of_two(home):
    path = home / "two" / "version_0"
    source = load(str(path))
    assert set(source.network.state_dict()) == set(timm.create_model("cifar_resnet20", num_classes=1).state_dict())
    assert source.classes == 0 and "layer1.0.bn1.weight" in source.carried and "fc.weight" not in source.carried
    expected = features_of(restore(path / "checkpoints" / "best.ckpt").eval())
    torch.testing.assert_close(source(IMAGES), expected, rtol=1e-4, atol=1e-4)


def test_a_run_on_several_classes_tells_of_them(home):
    path = home / "three" / "version_0"
    source, task = load(str(path)), restore(path / "checkpoints" / "best.ckpt").eval()
    with torch.inference_mode():
        expected = task(task.normalise(IMAGES)).softmax(dim=1)
    assert source.classes == 3
    torch.testing.assert_close(source.chances(source(IMAGES)), expected, rtol=1e-4, atol=1e-4)


def test_what_a_run_was_given(home):
    given = load(f"pretrained:{home / 'two' / 'version_0'}")
    assert given.classes == 10
    assert facts(given) == facts(load(f"cifar_resnet20={source_file(home.parent)}"))
    assert load(f"init:{home / 'three' / 'version_0'}").classes == 0


def test_weights_that_a_config_can_name(home):
    file = source_file(home.parent)
    assert weights_file(Candidate("a", "cifar_resnet20", file)) == file
    assert weights_file(Candidate("a", "resnet18", True)) is True
    assert weights_file(Candidate("a", "resnet18", False, 3)) is False
    run, given = read_candidates(f"{kind}{home / 'two' / 'version_0'}" for kind in ("", "pretrained:"))
    assert weights_file(given) == file
    assert weights_file(run) is None


def test_networks_for_images_are_not_for_volumes(home):
    with pytest.raises(UserError, match="one for images, unlike these data"):
        load(str(home / "two" / "version_0"), dims=3)
