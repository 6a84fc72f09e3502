"""Random changes of patches of volumes, by MONAI, from what the YAML says."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import numpy as np

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.data.transform.augmentation import Spec, name_and_arguments
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.trust import check_import

OWN = ("monai", "transfusion_cli")
"""Packages whose transforms anybody may name."""

EXAMPLE = "[{RandFlip: {prob: 0.5, spatial_axis: 0}}, {RandGaussianNoise: {prob: 0.1}}]"

FLAT = 3
"""A patch whose longest side is more than so many times its shortest is turned and scaled in its plane alone."""

KEYS = ("image", "mask")

_TURN = 0.5236  # radians, 30 degrees


def default(size: tuple[int, ...]) -> Spec:
    """What suits patches of most volumes, by nnU-Net's chances and ranges (Isensee et al. 2021).

    Nothing is mirrored: bodies have sides. In a mirrored one the liver lies on the left, where the spleen belongs, and
    what tells left from right structures, or a heart's chambers, by where they lie would be taught both.

    Args:
        size: of a patch (D, H, W).
    """
    turn, least, most = [_TURN] * 3, [0.7] * 3, [1.4] * 3
    scale: dict[str, Any] = {"min_zoom": 0.7, "max_zoom": 1.4}  # one number: the same along all axes
    if max(size) > FLAT * min(size):
        axis = int(np.argmin(size))
        turn = [_TURN if other == axis else 0.0 for other in range(3)]
        least[axis] = most[axis] = 1.0
        scale = {"min_zoom": least, "max_zoom": most}
    return [
        {"RandAffine": {"prob": 0.2, "rotate_range": turn, "padding_mode": "border"}},
        {"RandZoom": {"prob": 0.2, "mode": "trilinear", "padding_mode": "edge", **scale}},
        {"RandGaussianNoise": {"prob": 0.1, "std": 0.1}},
        {"RandGaussianSmooth": {"prob": 0.2, "sigma_x": [0.5, 1], "sigma_y": [0.5, 1], "sigma_z": [0.5, 1]}},
        {"RandScaleIntensity": {"prob": 0.15, "factors": 0.25}},
        {"RandScaleIntensityFixedMean": {"prob": 0.15, "factors": 0.25, "preserve_range": True}},
        {"RandAdjustContrast": {"prob": 0.3, "gamma": [0.7, 1.5], "retain_stats": True}},
    ]


def _monai() -> ModuleType:
    return importlib.import_module("monai.transforms")  # takes seconds


def _lookup(name: str) -> Any:
    """The dictionary transform, or the composition, of a MONAI name or a dotted path."""
    library = _monai()
    module_name, _, class_name = name.rpartition(".")
    if module_name and name.partition(".")[0] not in OWN:
        check_import(name)
    try:
        module = importlib.import_module(module_name) if module_name else library
    except ImportError as error:
        raise UserError(f"augmentation: cannot import {name!r}: {error}") from error
    bases = library.MapTransform, library.Compose
    for found in (getattr(module, f"{class_name}d", None), getattr(module, class_name, None)):
        if inspect.isclass(found) and issubclass(found, bases):
            return found
    names = [n for n in vars(library) if n.startswith("Rand") and inspect.isclass(getattr(library, f"{n}d", None))]
    raise UserError(f"augmentation: no MONAI transform {name!r}\n{did_you_mean(class_name, names)}")


def build_transforms(spec: Spec, always: bool = False) -> list[Any]:
    """Make MONAI's transforms of image and mask of ``[{RandFlip: {prob: 0.5, spatial_axis: 0}}, ...]``.

    An item is a name, a name with arguments, or ``class_path`` and ``init_args``; ``transforms`` of a composition
    (OneOf, SomeOf, RandomOrder) is again such a list. Names and arguments are those of MONAI's array transforms. What
    moves voxels moves those of image and mask alike; of masks, which are never interpolated, the nearest.

    Args:
        spec: the list.
        always: whatever their chances, for a trial.

    Raises:
        UserError: unknown transform, unknown argument, or a value that the transform refuses.
    """
    if not isinstance(spec, list):
        raise UserError(f"augmentation: expected a list of transforms, got {spec!r}")
    return [_build(item, always) for item in spec]


def _build(item: Any, always: bool) -> Any:
    name, given = name_and_arguments(item, EXAMPLE)
    kind = _lookup(name)
    parameters = inspect.signature(kind).parameters
    own = ("keys", "allow_missing_keys", "lazy", "map_items", "unpack_items", "args", "kwargs")
    known = [parameter for parameter in parameters if parameter not in own]
    if unknown := [argument for argument in given if argument not in known]:
        raise UserError(f"augmentation: {name} has no argument {unknown[0]!r}\n{did_you_mean(unknown[0], known)}")
    arguments = dict(given)
    if always and "prob" in parameters:
        arguments["prob"] = 1.0
    if "transforms" in given:
        arguments["transforms"] = build_transforms(given["transforms"], always)
    elif "mode" in parameters or "lazy" in parameters:  # it moves voxels
        arguments["keys"] = KEYS
        for option, nearest in (("mode", "nearest"), ("padding_mode", None)):
            if option in parameters:
                usual = parameters[option].default
                # Masks are turned into their distance from IGNORE, so that it is zero which surrounds them.
                outside = "constant" if type(usual).__name__ == "NumpyPadMode" else "zeros"
                arguments[option] = (given.get(option, usual), nearest or outside)
    else:
        arguments["keys"] = KEYS[:1]
    try:
        return kind(**arguments)
    except Exception as error:  # whatever a transform may raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"augmentation: {name}: {said}\nGiven: {given}") from error


class VolumeAugmentation:
    """Applies the transforms with randomness that all comes from the generator given.

    Args:
        spec: the transforms, as in ``build_transforms``.
        channels: of the images.
        size: of a patch (D, H, W).

    Raises:
        UserError: one does not work on such patches, or changes their size.
    """

    def __init__(self, spec: Spec, channels: int, size: tuple[int, ...]) -> None:
        self.compose = _monai().Compose(build_transforms(spec))
        image, mask = np.zeros((channels, *size), np.float32), np.zeros(size, np.uint8)
        image[:, 0] = 1
        for item in spec:
            name = name_and_arguments(item, EXAMPLE)[0]
            try:
                _apply(_monai().Compose(build_transforms([item], always=True)), image, mask, np.random.default_rng(0))
            except UserError as error:
                raise UserError(f"augmentation: {name} {error}") from error

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Change image (C, D, H, W) float32 and mask (D, H, W) uint8, ``IGNORE`` where nothing was."""
        return _apply(self.compose, image, mask, rng)


def _apply(
    compose: Any, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    from monai.data.meta_obj import get_track_meta, set_track_meta

    compose.set_random_state(state=np.random.RandomState(rng.integers(2**32)))
    tracks = get_track_meta()
    set_track_meta(False)  # what MONAI notes for undoing takes time, and nobody undoes it
    try:
        away = (IGNORE - mask[None]).astype(np.float32)
        changed = compose({"image": np.array(image, dtype=np.float32), "mask": away})
        made, back = (np.asarray(changed[key]) for key in KEYS)
    except Exception as error:  # whatever a transform, the user's own included, may raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"does not work on patches of {image.shape}\n{said}") from error
    finally:
        set_track_meta(tracks)
    if made.shape != image.shape or back.shape[1:] != mask.shape:
        raise UserError(f"changed a patch from {image.shape} to {made.shape}\nIt must keep the size.")
    return made.astype(np.float32, copy=False), (IGNORE - np.rint(back[0])).astype(np.uint8)
