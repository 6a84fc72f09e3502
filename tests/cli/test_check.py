"""``transfusion check`` of vision transformers, as typed."""

import logging

import pytest
import timm
import torch
from support.commands import mistake, transfusion, write_configs

VIT = "--config base.yaml --model.backbone cifar_vit6.textures --model.pretrained true --data.image_size 32"
ADAMW = "--model.optimizer AdamW"


@pytest.fixture(autouse=True)
def _there(tmp_path, monkeypatch):
    write_configs(tmp_path)
    monkeypatch.chdir(tmp_path)


def warned(command, caplog):
    """What a command warns of, in lines."""
    caplog.clear()
    transfusion(f"check {command}")
    return [line for r in caplog.records if r.levelno >= logging.WARNING for line in r.getMessage().splitlines()]


def test_a_rate_far_above_the_usual(caplog):
    told = warned(f"{VIT} {ADAMW} --model.optimizer.lr 1e-3", caplog)
    assert told == [
        "The whole network trains at 0.001; 5e-05 is usual for transformers and ConvNeXts with AdamW",
        "Full fine-tuning often fails at such rates: try --model.optimizer.lr 5e-05",
    ]
    assert warned(f"{VIT} {ADAMW} --model.optimizer.lr 5e-05", caplog) == []


@pytest.mark.parametrize("strategy", ["HeadOnly", "NormAffine", "LoRA", "LayerwiseDecay --model.transfer.decay 0.65"])
def test_the_same_rate_where_it_is_usual(strategy, caplog):
    assert warned(f"{VIT} {ADAMW} --model.optimizer.lr 1e-3 --model.transfer {strategy}", caplog) == []


def test_images_that_are_no_squares(capsys):
    transfusion(f"check {VIT} --data.image_size '[32, 48]' --model.transfer HeadOnly")
    assert "One batch went forward and backward" in capsys.readouterr().out


def test_an_official_file(tmp_path, caplog):
    """What a masked autoencoder leaves, with another grid of positions, under mean pooling."""
    small = {"embed_dim": 24, "depth": 1, "num_heads": 2}
    state = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=0, **small).state_dict()
    beside = {"mask_token": torch.ones(1, 1, 24), "decoder_pred.weight": torch.ones(768, 16)}
    torch.save({"model": state | beside}, "retfound.pth")
    args = "{embed_dim: 24, depth: 1, num_heads: 2, global_pool: avg}"
    vit = "--model.backbone vit_tiny_patch16_224 --model.pretrained retfound.pth --data.image_size 32"
    told = warned(f"--config base.yaml {vit} --model.backbone_args '{args}' --model.transfer HeadOnly", caplog)
    assert told == [
        "vit_tiny_patch16_224: 16 of 18 tensors from retfound.pth, head fresh",
        "  not in the weights, random: fc_norm.weight, fc_norm.bias",
        "  in the weights only, ignored: norm.weight, norm.bias, decoder_pred.weight",
    ]


def test_a_file_of_another_kind(capsys):
    torch.save({"embeddings.cls_token": torch.ones(1, 1, 24)}, "transformers.bin")
    vit = "--model.backbone vit_tiny_patch16_224 --model.pretrained transformers.bin --data.image_size 32"
    message = mistake(f"check --config base.yaml {vit}", capsys)
    assert message.startswith("Nothing in the weights file fits vit_tiny_patch16_224: transformers.bin\n")
    assert message.endswith("Give the backbone that the file was made with\n")
