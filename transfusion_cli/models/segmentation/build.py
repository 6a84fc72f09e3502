"""Segmentation networks by the timm name of their encoder, with weights from wherever they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import classifier_names, decoder_names, in_head
from transfusion_cli.models.matching import Tensors
from transfusion_cli.models.pretrained import announce, build_network
from transfusion_cli.models.segmentation.decoder_weights import decoder_tensors
from transfusion_cli.models.segmentation.maps import check_encoder
from transfusion_cli.models.segmentation.network import SegmentationNetwork
from transfusion_cli.models.volumes.inflate import Inflation
from transfusion_cli.models.weights_file import read_weights
from transfusion_cli.models.weights_report import WeightsReport


def build_segmentation(
    backbone: str,
    *,
    decoder: str = "unet",
    num_outputs: int,
    in_chans: int = 3,
    pretrained: bool | str | Path = True,
    drop_rate: float = 0.0,
    dims: Literal[2, 3] = 2,
    inflate: Inflation = "centre",
    decoder_channels: Sequence[int] | None = None,
    deep_supervision: bool = False,
    backbone_args: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, WeightsReport]:
    """Build a segmentation network with a fresh head and load its weights.

    A file may hold an encoder alone (any weights of the backbone, a run of ours that classified), or an encoder and a
    decoder (a run of ours, a checkpoint of ``segmentation_models_pytorch``); what came of the decoder is in the report.

    Args:
        backbone: timm name of the encoder, or of a whole segmentation network, which has its own decoder.
        decoder: ``unet`` or ``fpn``.
        num_outputs: channels of the logits.
        in_chans: input channels; the first convolution of the weights is adapted to them.
        pretrained: published weights of the encoder (True), none (False), or a file.
        drop_rate: dropout before the head.
        dims: 2 for images, 3 for volumes.
        inflate: how weights of images enter a network for volumes.
        decoder_channels: widths of the decoder, coarse first; None takes its usual ones.
        deep_supervision: heads on the decoder's coarser maps too.
        backbone_args: passed on to ``timm.create_model``.

    Raises:
        UserError: as for :func:`~transfusion_cli.models.pretrained.build_network`; a backbone that cannot be an
            encoder; a decoder that does not exist, or other widths than it has steps.
    """
    options: dict[str, Any] = {"in_chans": in_chans, "backbone_args": backbone_args}
    if dims != 2:
        options |= {"dims": dims, "inflate": inflate}
    with torch.device("meta"):
        sketch, _ = build_network(backbone, num_outputs=0, pretrained=False, **options)
    if decoder_names(sketch):
        if decoder_channels is not None or deep_supervision:
            raise UserError(
                f"{backbone} has a decoder of its own, without decoder_channels and deep_supervision\n"
                "Leave them out, or take the backbone of a classifier, such as resnet34"
            )
        return build_network(backbone, num_outputs=num_outputs, pretrained=pretrained, drop_rate=drop_rate, **options)
    check_encoder(sketch)  # before weights are fetched
    encoder, report = build_network(backbone, num_outputs=0, pretrained=pretrained, tell=False, **options)
    network = SegmentationNetwork(
        encoder,
        decoder=decoder,
        num_outputs=num_outputs,
        dims=dims,
        decoder_channels=decoder_channels,
        drop_rate=drop_rate,
        deep_supervision=deep_supervision,
    )
    weights = {} if isinstance(pretrained, bool) else read_weights(pretrained).tensors
    report = _of_network(network, report, weights)
    if weights:
        announce(report)
    return network, report


def _of_network(network: SegmentationNetwork, report: WeightsReport, weights: Tensors) -> WeightsReport:
    """Load the decoder where the weights have it, and report what the whole network started from."""
    tensors = decoder_tensors(network, weights)
    network.load_state_dict(tensors, strict=False)
    heads = (*classifier_names(network.encoder), *classifier_names(network))
    decoder = (name for name, _ in network.decoder.named_parameters(prefix="decoder"))
    return replace(
        report,
        matched=_inside(report.matched) + tuple(tensors),
        missing=_inside(report.missing),
        shape_mismatch=_inside(report.shape_mismatch),
        adapted=_inside(report.adapted),
        head=report.head + tuple(name for name in report.unexpected if in_head(name, heads)),
        unexpected=tuple(name for name in report.unexpected if name not in tensors and not in_head(name, heads)),
        decoder=tuple(name for name in decoder if name not in tensors) if report.matched else (),
    )


def _inside(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"encoder.{name}" for name in names)
