"""Networks by timm name, with weights from the hub, from a file or at random."""

import logging
import socket
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
import timm
import torch
from timm.models import get_model_traits, get_pretrained_cfg, is_model, split_model_name_tag
from torch import nn

from transfusion_cli.errors import UserError
from transfusion_cli.models import cbr as cbr  # registers our backbones
from transfusion_cli.models import cifar_resnet as cifar_resnet
from transfusion_cli.models.backbone_args import cannot_build, checked_backbone_args
from transfusion_cli.models.facts import classifier_names, dimensions, head_names, in_head, pretrained_config
from transfusion_cli.models.lookalike import lookalike
from transfusion_cli.models.matching import Match, match
from transfusion_cli.models.volumes.inflate import MEANING, Inflation
from transfusion_cli.models.volumes.swap import in_three_dimensions
from transfusion_cli.models.weights_file import WeightsFile, read_weights
from transfusion_cli.models.weights_report import WeightsReport

logger = logging.getLogger(__name__)


def build_network(
    name: str,
    *,
    num_outputs: int,
    in_chans: int = 3,
    pretrained: bool | str | Path = True,
    drop_rate: float = 0.0,
    image_size: int | tuple[int, int] | None = None,
    backbone_args: Mapping[str, Any] | None = None,
    dims: Literal[2, 3] = 2,
    inflate: Inflation = "centre",
    tell: bool = True,
) -> tuple[nn.Module, WeightsReport]:
    """Build a timm network with a fresh head and load its weights.

    Args:
        name: timm name, with or without a tag: ``resnet50``, ``resnet50.a1_in1k``, ``cifar_resnet20``,
            ``hf-hub:owner/model``, ``local-dir:folder``.
        num_outputs: logits of the head; 0 gives pooled features.
        in_chans: input channels; the first convolution of the weights is adapted to them.
        pretrained: published weights (True), none (False), or a file. The source's classifier is never loaded.
        drop_rate: dropout before the head.
        image_size: side of the input in pixels, or height and width, for the architectures that fix it (position
            embeddings are resized).
        backbone_args: passed on to ``timm.create_model``; see :mod:`transfusion_cli.models.backbone_args`.
        dims: 2 for images, 3 for volumes; see :mod:`transfusion_cli.models.volumes.swap`.
        inflate: how weights of two dimensions enter a network of three.
        tell: say in the log what came from a file; false where more is to come from it.

    Raises:
        UserError: unknown name or argument, no such weights, no network, or a file that does not fit.
    """
    _check_name(name)
    if in_chans < 1:
        raise UserError(f"in_chans must be at least 1, got {in_chans}\nTry --model.in_chans 3")
    if not 0 <= drop_rate < 1:
        raise UserError(f"dropout is a share, 0 or more and under 1, not {drop_rate}\nTry --model.dropout 0.2")
    further = checked_backbone_args(backbone_args or {})
    weights = None if isinstance(pretrained, bool) else read_weights(pretrained)  # before the work of building
    options = {"num_classes": num_outputs, "in_chans": in_chans, **further}
    if drop_rate:
        options["drop_rate"] = drop_rate
    config = None if ":" in name else get_pretrained_cfg(name)
    if image_size and config and config.fixed_input_size:
        options.setdefault("img_size", image_size)
    if pretrained is True:
        _check_published(name)
    try:
        network: Any = timm.create_model(name, pretrained=pretrained is True, **options)
    except UserError:
        raise
    except Exception as error:
        # OSError is what the hub client and urllib raise for every failure of the network
        if isinstance(error, OSError) and (pretrained is True or ":" in name):
            raise _offline(name) from error
        if further:  # whatever a wrong argument runs into inside the architecture
            raise cannot_build(name, further, error) from error
        raise
    if image_size and not config and "img_size" not in further and pretrained_config(network).get("fixed_input_size"):
        network.set_input_size(img_size=image_size)  # a name from elsewhere says only now what it stands for
    if further and num_outputs and not head_names(network):
        raise cannot_build(name, further, ValueError("the network has no classifier"))
    if dims < dimensions(network):
        raise UserError(f"{name} takes volumes, and these are images\nTake another backbone, such as resnet18")
    if weights is not None:
        if dims > dimensions(network):
            in_three_dimensions(network)
        report = _load(network, weights, str(pretrained), inflate)
        if tell:
            announce(report)
    elif pretrained:
        report = _report_published(network, name, as_published=not further)
        if tell and not report.complete:
            announce(report)
    else:
        report = WeightsReport(pretrained_config(network)["architecture"], "random")
    if dims > dimensions(network):
        in_three_dimensions(network, inflate, report.matched)
        report = replace(report, notes=(MEANING[inflate],) if report.matched else ())
    return network, report


def _check_name(name: str) -> None:
    architecture, tag = split_model_name_tag(name)
    if ":" in name:
        if not name.startswith(("hf-hub:", "local-dir:")):
            raise UserError(f"Unknown source in {name!r}\nKnown are hf-hub:owner/model and local-dir:folder")
    elif not is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else "See them all: transfusion list backbones"
        raise UserError(f"Unknown backbone {name!r}\n{hint}")
    elif tag and name not in (known := timm.list_models(f"{architecture}.*", pretrained=True)):
        near = get_close_matches(name, known, n=3) or known[:3]
        hint = f"Did you mean {', '.join(near)}?" if near else f"It has none; name it {architecture}"
        raise UserError(f"The backbone {architecture} has no weights tagged {tag!r}\n{hint}")


def _check_published(name: str) -> None:
    if ":" in name:
        return
    config = get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise UserError(f"There are no published weights for {name}\nGive pretrained: a path to a file, or false")
    if config.hf_hub_id and _hub_is_out_of_reach(config.hf_hub_id):
        raise _offline(name)


def _offline(name: str) -> UserError:
    return UserError(
        f"No network for pretrained: true (the weights of {name} are fetched once, then kept)\n"
        "Give pretrained: a path to a downloaded file, or false for random weights"
    )


def _hub_is_out_of_reach(repository: str) -> bool:
    """Fail at once where the hub client would retry for most of a minute: no such host, no proxy, nothing kept."""
    if getproxies():
        return False
    try:
        socket.getaddrinfo(urlsplit(huggingface_hub.constants.ENDPOINT).hostname, 443)
    except socket.gaierror:
        files = ("model.safetensors", "pytorch_model.bin")
        return not any(isinstance(huggingface_hub.try_to_load_from_cache(repository, file), str) for file in files)
    return False


def announce(report: WeightsReport) -> None:
    """Say in the log what came from a file."""
    (logger.info if report.complete else logger.warning)(report.summary())


def _load(network: nn.Module, weights: WeightsFile, file: str, inflate: Inflation) -> WeightsReport:
    config = pretrained_config(network)
    size = config["input_size"]
    config.update(weights.facts)
    if len(config["input_size"]) != len(size):  # that of images says nothing of volumes
        config["input_size"] = size
    name = config["architecture"]
    fit = match(network, name, weights.tensors, inflate)
    if problem := _misfit(network, name, weights, fit, file):
        other = lookalike(network, weights.tensors)
        known = f": --model.backbone {other}" if other else ""
        raise UserError(f"{problem}\nGive the backbone that the file was made with{known}")
    network.load_state_dict(fit.tensors, strict=False)
    rest = (fit.missing, fit.unexpected, fit.shape_mismatch, fit.head, fit.adapted)
    notes = (*([MEANING[inflate]] if fit.inflated else []), *getattr(network, "weights_notes", ()))
    return WeightsReport(name, file, tuple(fit.tensors), *rest, notes=notes)


def _misfit(network: nn.Module, name: str, weights: WeightsFile, fit: Match, file: str) -> str | None:
    """Two lines about what speaks against the weights' being of this architecture."""
    target, body = list(network.state_dict()), len(fit.tensors) + len(fit.missing) + len(fit.shape_mismatch)
    if not fit.tensors:
        return (
            f"Nothing in the weights file fits {name}: {file}\n"
            f"The file has {', '.join(list(weights.tensors)[:3])}; the network has {', '.join(target[:3])}"
        )
    if 2 * len(fit.tensors) < body:
        example = (*fit.shape_mismatch, *(f"{missing} is not in the file" for missing in fit.missing))[0]
        return (
            f"Only {len(fit.tensors)} of the {body} tensors of {name} are in the weights file: {file}\n"
            f"For example, {example}"
        )
    if fit.foreign:
        return (
            f"The weights file is of another backbone than {name}: {file}\n"
            f"{len(fit.foreign)} of its {len(weights.tensors)} tensors have no place there, such as {fit.foreign[0]}"
        )
    return None


def _report_published(network: Any, name: str, as_published: bool) -> WeightsReport:
    """All that the published network has too is loaded; a head that fitted by chance is made fresh again.

    Shapes agree, or timm would have raised. Whether names do it says in its log alone.

    Args:
        network: with the weights.
        name: as it is known to timm.
        as_published: whether the network has the published architecture.
    """
    heads, config, traits = head_names(network), pretrained_config(network), get_model_traits(network)
    if heads and network.num_classes == config["num_classes"]:
        network.reset_classifier(network.num_classes)
    first = traits.get("first_conv") or ()
    names = (first,) if isinstance(first, str) else tuple(first)
    adapted = () if traits["in_chans"] == config["input_size"][0] else tuple(f"{name}.weight" for name in names)
    body = tuple(tensor for tensor in network.state_dict() if not in_head(tensor, heads))
    published = body
    if not as_published:
        with torch.device("meta"):
            whole = timm.create_model(name)
        published = tuple(tensor for tensor in whole.state_dict() if not in_head(tensor, classifier_names(whole)))
    return WeightsReport(
        config["architecture"],
        f"timm:{name}",
        matched=tuple(tensor for tensor in body if tensor in set(published)),
        missing=tuple(tensor for tensor in body if tensor not in set(published)),
        unexpected=tuple(tensor for tensor in published if tensor not in set(body)),
        adapted=adapted,
    )
