"""Random changes of training images, by albumentations, from what the YAML says."""

from __future__ import annotations

import importlib
import inspect
import os
import random
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.trust import check_import

Spec = list[str | dict[str, Any]]

OWN = ("albumentations", "transfusion_cli")
"""Packages whose transforms anybody may name."""

EXAMPLE = "[{HorizontalFlip: {p: 0.5}}, {Affine: {rotate: [-7, 7]}}]"

_PLACEMENT = {
    "transfusion_cli.data.placement.Placement": {
        "scale": [0.95, 1.05],
        "translate_percent": [-0.05, 0.05],
        "rotate": [-7, 7],
        "p": 0.7,
    }
}
_EXPOSURE = {"RandomBrightnessContrast": {"brightness_limit": 0.1, "contrast_limit": 0.1, "p": 0.5}}
_STAIN = {"ColorJitter": {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.02, "p": 0.5}}

_TURNED = {
    "transfusion_cli.data.placement.Placement": {"scale": [0.8, 1.25], "rotate": [-45, 45], "p": 0.5},
}
_EYE = {"ColorJitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.02, "p": 0.8}}

DEFAULTS: dict[str, Spec] = {
    # Bodies have sides and stand upright: a mirrored chest shows the heart on the right (dextrocardia), a mirrored
    # left kidney is a right one. So nothing flips, and the pose varies as much as it does between two exposures.
    "upright": [_PLACEMENT, _EXPOSURE],
    # A left eye is the mirror image of a right one, a breast likewise; top and bottom differ.
    "mirror": ["HorizontalFlip", _PLACEMENT, _EXPOSURE],
    # Microscope slides and skin have no up or side: the eight symmetries of the square.
    "any_side": [{"D4": {"p": 1.0}}, _EXPOSURE],
    "any_side_colour": [{"D4": {"p": 1.0}}, _STAIN],
    # A vessel runs in any direction, and is as wide as the camera's angle and the distance from the disc make it. Light
    # and pigment change from eye to eye more than a stain does. For patches of any shape, so mirrors in place of D4.
    "vessels": ["HorizontalFlip", "VerticalFlip", _TURNED, _EYE],
}


def _albumentations() -> ModuleType:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # It would ask the network for a newer version.
    return importlib.import_module("albumentations")


def _lookup(name: str) -> type:
    """The transform class of an albumentations name or a dotted path."""
    library = _albumentations()  # before what the user names, which may import it
    bases = library.BasicTransform, library.BaseCompose
    module_name, _, class_name = name.rpartition(".")
    if module_name and name.partition(".")[0] not in OWN:
        check_import(name)
    try:
        module = importlib.import_module(module_name) if module_name else library
    except ImportError as error:
        raise UserError(f"augmentation: cannot import {name!r}: {error}") from error
    found = getattr(module, class_name, None)
    if inspect.isclass(found) and issubclass(found, bases):
        return found
    names = [n for n, kind in vars(module).items() if inspect.isclass(kind) and issubclass(kind, bases)]
    raise UserError(f"augmentation: no albumentations transform {name!r}\n{did_you_mean(class_name, names)}")


def name_and_arguments(item: Any, example: str) -> tuple[str, dict[str, Any]]:
    """Take an item of a list of transforms apart.

    Args:
        item: a name, a name with arguments, or ``class_path`` and ``init_args``.
        example: a list of transforms, for the error.

    Raises:
        UserError: it is something else.
    """
    match item:
        case str(name):
            return name, {}
        case {"class_path": str(name), "init_args": dict(arguments)} if len(item) == 2:
            return name, dict(arguments)
        case {"class_path": str(name)} if len(item) == 1:
            return name, {}
        case dict() if len(item) == 1:
            name, arguments = next(iter(item.items()))
            if isinstance(name, str) and (arguments is None or isinstance(arguments, dict)):
                return name, dict(arguments or {})
    raise UserError(
        f"augmentation: {item!r} is not a transform\n"
        "Each item is a name with its arguments, for example\n"
        f"  augmentation: {example}"
    )


def build_transforms(spec: Spec) -> list[Any]:
    """Make albumentations transforms of ``[{HorizontalFlip: {p: 0.5}}, ...]``.

    An item is a name, a name with arguments, or ``class_path`` and ``init_args``; ``transforms`` of a composition
    (OneOf, SomeOf, Sequential) is again such a list.

    Raises:
        UserError: unknown transform, unknown argument, or a value that the transform refuses.
    """
    if not isinstance(spec, list):
        raise UserError(f"augmentation: expected a list of transforms, got {spec!r}")
    return [_build(item) for item in spec]


def _build(item: object) -> Any:
    name, arguments = name_and_arguments(item, EXAMPLE)
    kind = _lookup(name)
    if "transforms" in arguments:
        arguments["transforms"] = build_transforms(arguments["transforms"])
    known = [p for p in inspect.signature(kind).parameters if p not in ("self", "args", "kwargs")]
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise UserError(f"augmentation: {name} has no argument {unknown[0]!r}\n{did_you_mean(unknown[0], known)}")
    try:
        return kind(**arguments)
    except (ValueError, TypeError) as error:
        lines = [line.partition("[type=")[0].strip() for line in str(error).splitlines()]
        reason = ": ".join(lines[1:3] or lines)  # pydantic: a heading, then the argument, then what is wrong with it
        raise UserError(f"augmentation: {name}: {reason}\nGiven: {arguments}") from error


class Augmentation:
    """Applies the transforms with randomness that is a function of the seed, the epoch and the sample alone.

    Args:
        spec: the transforms, as in ``build_transforms``.
        seed: of the randomness.
        channels: 1 for grey images, 3 for colour: transforms that need colour are refused at once for grey ones.
    """

    def __init__(self, spec: Spec, seed: int, channels: int) -> None:
        self.seed, self.channels = seed, channels
        self.compose = _albumentations().Compose(build_transforms(spec))
        for item in spec:
            # OneOf a single transform applies it whatever its own probability.
            name, _ = name_and_arguments(item, EXAMPLE)
            [alone] = build_transforms([{"OneOf": {"transforms": [item], "p": 1.0}}])
            self._try(name, alone)

    def _try(self, name: str, transform: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                transform(**self.blank())
            except Exception as error:  # whatever a transform, the user's own included, may raise
                kind = "grey" if self.channels == 1 else "colour"
                raise UserError(
                    f"augmentation: {name} does not work on {kind} 8-bit images\n{str(error).splitlines()[0]}"
                ) from error

    def blank(self) -> dict[str, np.ndarray]:
        """What transforms are tried on."""
        return {"image": np.zeros((32, 32) if self.channels == 1 else (32, 32, 3), np.uint8)}

    def __call__(self, image: np.ndarray, epoch: int, row: int) -> np.ndarray:
        """Change one image, (H, W) or (H, W, 3), uint8 or float32 in [0, 1]; shape and type stay."""
        return self.change(np.random.Generator(np.random.PCG64([self.seed, epoch, row])), image=image)["image"]

    def change(self, rng: np.random.Generator, image: np.ndarray, **others: np.ndarray) -> dict[str, np.ndarray]:
        """Change one image, and what goes with it, with the randomness of a generator."""
        self.compose.set_random_state(rng, random.Random(int(rng.integers(2**62))))
        try:
            everything: dict[str, np.ndarray] = self.compose(image=image, **others)
            changed = everything["image"]
        except (ValueError, TypeError, NotImplementedError) as error:
            raise UserError(f"augmentation failed on a {image.dtype} image: {str(error).splitlines()[0]}") from error
        if changed.shape != image.shape:
            raise UserError(
                f"augmentation changed the image from {image.shape} to {changed.shape}\n"
                "It works on images already at the size of the network and must keep it\n"
                f"Give cropping or resizing transforms size: [{image.shape[0]}, {image.shape[1]}]"
            )
        bounded = np.clip(changed, 0.0, 1.0) if image.dtype == np.float32 else changed
        return everything | {"image": np.asarray(bounded)}
