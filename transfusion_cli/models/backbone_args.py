"""What users may pass on to ``timm.create_model``, and what its refusals mean to them."""

import re
from collections.abc import Mapping
from typing import Any

from transfusion_cli.errors import UserError

WEIGHTS = ("pretrained", "checkpoint_path", "cache_dir")
"""How names begin that would bring weights, or facts about weights, from elsewhere: they come by one way alone."""

ELSEWHERE = {
    "name": "Give the backbone as --model.backbone",
    "model_name": "Give the backbone as --model.backbone",
    "num_classes": "The classes follow from the data",
    "num_outputs": "The classes follow from the data",
    "in_chans": "Give the input channels as --model.in_chans",
    "drop_rate": "Give the dropout before the head as --model.dropout",
    "image_size": "Give the size of the images as --data.image_size",
}
"""What has a key of its own."""


def checked_backbone_args(args: Mapping[str, Any]) -> dict[str, Any]:
    """Further arguments of a timm model that stand in nobody's way.

    Raises:
        UserError: one of them brings weights, has a key of its own, or is a rate that is no share.
    """
    for name, value in args.items():
        if name.startswith(WEIGHTS):
            raise _refused(name, "Weights come by --model.pretrained alone: true, false or a path to a file")
        if name in ELSEWHERE:
            raise _refused(name, ELSEWHERE[name])
        if name.endswith("_rate") and not (isinstance(value, int | float) and 0 <= value < 1):
            raise UserError(f"{name} in backbone_args is a share, 0 or more and under 1, not {value!r}")
    return dict(args)


def _refused(name: str, instead: str) -> UserError:
    return UserError(f"backbone_args cannot hold {name}\n{instead}")


def cannot_build(backbone: str, args: Mapping[str, Any], error: Exception) -> UserError:
    """What to say where timm does not make a network of the given arguments."""
    if unknown := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
        return UserError(f"{backbone} takes no argument {unknown[1]!r}\nTake it out of --model.backbone_args")
    given = ", ".join(f"{name}={value!r}" for name, value in args.items())
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return UserError(
        f"{backbone} cannot be built with these backbone_args: {given[:200]}\n"
        f"({type(error).__name__}: {reason})\nMend or leave out what is wrong in --model.backbone_args"
    )
