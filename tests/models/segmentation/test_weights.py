"""What comes over of which file."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from support.networks import randomised, source_file
from support.segmentation import SLIM, trained_file, trained_state

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import normalisation
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.segmentation.build import build_segmentation


def build(pretrained, backbone="cifar_resnet20", **kwargs):
    return build_segmentation(backbone, num_outputs=2, pretrained=pretrained, **kwargs)


def loaded(network, source, prefix):
    """Names of the tensors below a prefix that are those of the source."""
    state = network.state_dict()
    return {
        name
        for name, tensor in source.items()
        if name.startswith(prefix) and tensor.shape == state[name].shape and torch.equal(state[name], tensor)
    }


def below(source, prefix):
    return {name for name in source if name.startswith(prefix)}


def test_random_weights():
    _, report = build(False)
    assert not report.matched and not report.decoder and report.summary() == "cifar_resnet20: random weights"


def test_published_weights_are_the_encoder_s():
    network, report = build(True, "cifar_resnet20.textures")
    own = timm.create_model("cifar_resnet20.textures", pretrained=True, num_classes=0).state_dict()
    assert (
        set(report.matched)
        == {f"encoder.{name}" for name in own}
        == loaded(network, {f"encoder.{name}": tensor for name, tensor in own.items()}, "encoder.")
    )
    assert report.complete and "decoder and head fresh" in report.summary()
    assert normalisation(network)[0] == (0.4459, 0.4454, 0.4467)


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_a_classifier_s_file_under_a_decoder(decoder, tmp_path):
    network, report = build(source_file(tmp_path), decoder=decoder)
    source = {f"encoder.{name}": tensor for name, tensor in randomised().state_dict().items() if name[:2] != "fc"}
    assert set(report.matched) == set(source) == loaded(network, source, "encoder.")
    assert report.head == ("fc.weight", "fc.bias") and not report.unexpected
    assert len(report.decoder) == len(list(network.decoder.parameters()))


def test_a_classification_run_s_checkpoint_under_a_decoder(tmp_path):
    state = {f"network.{name}": tensor for name, tensor in randomised().state_dict().items()}
    torch.save({"state_dict": state | {"mean": torch.zeros(3)}}, tmp_path / "best.ckpt")
    _, report = build(tmp_path / "best.ckpt")
    assert len(report.matched) == len(state) - 2 and report.complete and report.unexpected == ("mean",)


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_a_segmentation_run_brings_its_decoder(decoder, tmp_path):
    source = trained_state(decoder=decoder)
    network, report = build(trained_file(tmp_path, decoder=decoder), decoder=decoder)
    assert set(report.matched) == below(source, "encoder.") | below(source, "decoder.")
    assert loaded(network, source, "decoder.") == below(source, "decoder.")
    assert loaded(network, source, "head.") == set() and set(report.head) == {"head.weight", "head.bias"}
    assert not report.decoder and set(report.unexpected) == {"mean", "std"}
    assert report.summary().splitlines()[0].endswith("head fresh") and "decoder and" not in report.summary()


def test_exported_weights_with_their_facts(tmp_path):
    save_file(trained_state(), tmp_path / "w.safetensors", {"mean": "[0.1, 0.2, 0.3]", "std": "[1, 1, 1]"})
    network, report = build(tmp_path / "w.safetensors")
    assert not report.decoder and normalisation(network) == ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))


def test_the_other_kind_of_decoder_stays_fresh(tmp_path):
    network, report = build(trained_file(tmp_path, decoder="fpn"), decoder="unet")
    assert len(report.decoder) == len(list(network.decoder.parameters()))
    assert all(name.startswith("encoder.") for name in report.matched)
    assert any(name.startswith("decoder.levels.") for name in report.unexpected)


def test_layers_of_the_decoder_come_one_by_one(tmp_path):
    source = trained_state()
    network, report = build(trained_file(tmp_path), decoder_channels=[32, 20])
    came = {name for name in report.matched if name.startswith("decoder.")}
    assert came == below(source, "decoder.blocks.0.") == loaded(network, source, "decoder.blocks.0.")
    assert {name.split(".")[2] for name in report.decoder} == {"1"}
    assert "head and 6 tensors of the decoder fresh" in report.summary()


@pytest.mark.parametrize("between", ["encoder.model.", "encoder."])
def test_checkpoints_of_segmentation_models_pytorch(between, tmp_path):
    source = trained_state("resnet18")
    names = {"encoder.": between, "decoder.": "decoder.", "head.": "segmentation_head.0."}
    theirs = {
        names[kind] + name.removeprefix(kind): tensor
        for name, tensor in source.items()
        for kind in names
        if name.startswith(kind)
    }
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in theirs.items()}}, tmp_path / "smp.ckpt")
    network, report = build(tmp_path / "smp.ckpt", "resnet18", **SLIM["resnet18"])
    assert set(report.matched) == below(source, "encoder.") | below(source, "decoder.")
    assert loaded(network, source, "decoder.") == below(source, "decoder.")
    assert set(report.unexpected) == {"segmentation_head.0.weight", "segmentation_head.0.bias"}


def test_a_segmentation_run_under_a_classifier(tmp_path):
    source = trained_state()
    network, report = build_network("cifar_resnet20", num_outputs=2, pretrained=trained_file(tmp_path))
    state = network.state_dict()
    assert {f"encoder.{name}" for name in report.matched} == below(source, "encoder.") and report.complete
    assert all(torch.equal(state[name], source[f"encoder.{name}"]) for name in report.matched)
    assert any(name.startswith("decoder.") for name in report.unexpected)


def test_grey_images(tmp_path):
    network, report = build(trained_file(tmp_path), in_chans=1)
    assert report.adapted == ("encoder.conv1.weight",) and network.encoder.conv1.in_channels == 1


def test_weights_of_another_backbone_are_refused(tmp_path):
    with pytest.raises(UserError, match="weights file"):
        build(trained_file(tmp_path, "resnet18"))


def test_the_log_tells_once_of_a_file(tmp_path, caplog):
    caplog.set_level("INFO")
    build(trained_file(tmp_path))
    assert sum("tensors from" in record.message for record in caplog.records) == 1


def test_a_decoder_for_images_does_not_come_into_one_for_volumes(tmp_path):
    network, report = build(trained_file(tmp_path), dims=3)
    assert report.complete and all(name.startswith("encoder.") for name in report.matched)
    assert len(report.decoder) == len(list(network.decoder.parameters()))
    assert network.eval()(torch.rand(1, 3, 17, 16, 19)).shape == (1, 2, 17, 16, 19)
