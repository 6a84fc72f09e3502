"""Images and masks in two folders, paired by their names."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from transfusion_cli.data.layout.locate import image_key
from transfusion_cli.data.layout.split_column import SPLIT_NAMES
from transfusion_cli.data.layout.tree import image_files, some
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

IMAGES, MASKS, FIELDS = "images", "masks", "fov"
"""Names of the folders."""

_EXPECTED = f"Expected {IMAGES}/NAME.jpg and {MASKS}/NAME.png below it, or a table: --data.table FILE"


@dataclass
class MaskFolders:
    """What two folders say of each image (N,).

    Args:
        images: files relative to the root.
        masks: mask of each, or the empty string.
        fields: field of view of each, or the empty string.
        split: ``train``, ``val``, ``test``, or the empty string where no folder tells.
    """

    images: list[str]
    masks: list[str]
    fields: list[str]
    split: list[str]


def mask_folders(root: Path) -> MaskFolders:
    """Pair ``images/NAME`` and ``masks/NAME``, whatever their endings, and ``fov/NAME`` where there is such a folder.

    Both may have further folders in them, which belong to the name; one called train, val or test, above or below
    ``images``, tells the split. The log tells of masks without an image.

    Raises:
        UserError: no such folders, no image with a mask, or two files of one name.
    """
    if not root.is_dir():
        raise UserError(f"No folder {root}\n{_EXPECTED}")
    kinds: dict[str, dict[str, str]] = {IMAGES: {}, MASKS: {}, FIELDS: {}}
    for path in image_files(root):
        *folders, name = path.split("/")
        kind = next((folder for folder in folders if folder.lower() in kinds), None)
        if kind is None:
            continue
        key = "/".join([*(folder for folder in folders if folder != kind), image_key(name)]).lower()
        if (other := kinds[kind.lower()].setdefault(key, path)) != path:
            raise UserError(f"{other} and {path} have one name\nin {root}\nWhich is meant? Move the other away.")
    images, masks, fields = kinds[IMAGES], kinds[MASKS], kinds[FIELDS]
    if not images:
        raise UserError(f"No images in {root / IMAGES}\n{_EXPECTED}")
    if not images.keys() & masks.keys():
        found = f"{next(iter(masks.values()))!r} to {next(iter(images.values()))!r}" if masks else "there are none"
        raise UserError(f"No image has a mask of its name in {root / MASKS}: {found}\n{_EXPECTED}")
    if lost := [path for key, path in masks.items() if key not in images]:
        log.warning("%s: %d masks have no image and are passed over: %s", root, len(lost), some(lost))
    return MaskFolders(
        list(images.values()),
        [masks.get(key, "") for key in images],
        [fields.get(key, "") for key in images],
        [_split(key) for key in images],
    )


def _split(key: str) -> str:
    return next((SPLIT_NAMES[folder] for folder in key.split("/")[:-1] if folder in SPLIT_NAMES), "")
