"""The raw layout of nnU-Net, version 2, which holds volumes or images."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transfusion_cli.data.layout.cases import CHANNELS, ListedCase, files_in, natural
from transfusion_cli.data.layout.json_file import read_json
from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.data.layout.tree import some
from transfusion_cli.data.reading.images import EXTENSIONS
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_PARTS = (("train", "imagesTr", "labelsTr"), ("test", "imagesTs", "labelsTs"))


@dataclass(frozen=True)
class NNUNetData:
    """What lies in a folder such as ``Dataset004_Hippocampus``.

    Args:
        channels: what each channel shows, as ``CT``.
        labels: of the masks.
        ending: of the files, with its point.
        cases: of ``train``, ``test``, and of ``predict`` those for the test that have no mask.
    """

    channels: list[str]
    labels: MaskLabels
    ending: str
    cases: list[ListedCase]


def read_nnunet(folder: Path) -> NNUNetData:
    """Read ``dataset.json`` and find the cases.

    Raises:
        UserError: it does not say what it should, a file of a case is missing, or one is called as no case is.
    """
    path = folder / "dataset.json"
    told = read_json(path)
    channels = told.get("channel_names", told.get("modality"))  # which is what version 1 called them
    for name, value in (("channel_names", channels), ("labels", told.get("labels"))):
        if not isinstance(value, dict) or not value:
            raise UserError(f"No {name} in {path}\nnnU-Net wants them: {_EXAMPLE[name]}")
    ending = str(told.get("file_ending", ".nii.gz"))
    names = [str(channels[key]) for key in sorted(channels, key=lambda key: natural(str(key)))]
    if isinstance(told.get("dataset"), dict):
        cases = _listed(told["dataset"], len(names), path)
    else:
        cases = [case for part in _PARTS for case in _found(folder, *part, ending, len(names))]
    if not any(case.split == "train" for case in cases):
        raise UserError(f"No case for training in {folder / 'imagesTr'}\nExpected CASE_0000{ending} and so on")
    return NNUNetData(names, MaskLabels.of(told["labels"], path), ending, cases)


_EXAMPLE = {
    "channel_names": '"channel_names": {"0": "CT"}',
    "labels": '"labels": {"background": 0, "liver": 1}',
}


def take_fold(cases: list[ListedCase], splits: Path, fold: int, held_out: str) -> list[ListedCase]:
    """Split the training cases as a fold of ``splits_final.json`` does; those that it does not name are in no split.

    Args:
        cases: of all splits.
        splits: the file, a list of ``{"train": [names], "val": [names]}``.
        fold: number of one, from 0.
        held_out: split that its ``val`` is for.

    Raises:
        UserError: there is no such fold, or it names what is not there.
    """
    folds = read_json(splits, list)
    if not 0 <= fold < len(folds):
        raise UserError(f"No fold {fold} in {splits}\nIt has {len(folds)}, counted from --data.fold 0")
    parts = folds[fold]
    if not isinstance(parts, dict) or any(not isinstance(parts.get(part), list) for part in ("train", "val")):
        raise UserError(f'Fold {fold} is not as {{"train": [names], "val": [names]}}\nin {splits}')
    split = dict.fromkeys(map(str, parts["train"]), "train") | dict.fromkeys(map(str, parts["val"]), held_out)
    absent = sorted(set(split) - {case.name for case in cases if case.split == "train"}, key=natural)
    if absent:
        raise UserError(f"{len(absent)} cases are not in imagesTr, for example {absent[0]!r}\nnamed in {splits}")
    both = sorted(set(map(str, parts["train"])) & set(map(str, parts["val"])), key=natural)
    if both:
        raise UserError(
            f"{len(both)} cases are in train and in val of fold {fold}, for example {both[0]!r}\nin {splits}"
        )
    return [replace(case, split=split.get(case.name, "")) if case.split == "train" else case for case in cases]


def join_channels(files: list[str], channels: int) -> list[str]:
    """Paths of cases, of whose files ``a_0000.nii.gz``, ``a_0001.nii.gz`` and so on there is one for each channel.

    Args:
        files: relative to their folder, sorted; those of another name stand for a case each.
        channels: of a case.
    """
    if channels < 2:
        return files
    parts: dict[str, list[str]] = {}
    for file in files:
        stem, point, ending = file.partition(".")
        match = _CHANNEL.fullmatch(stem)
        parts.setdefault(f"{match[1]}{point}{ending}" if match else file, []).append(file)
    return [CHANNELS.join(found) for found in parts.values()]


def _found(folder: Path, split: str, images: str, labels: str, ending: str, channels: int) -> list[ListedCase]:
    """Cases of a folder of images, one file a channel, with their masks."""
    masks = files_in(folder / labels, [ending])
    parts: dict[str, dict[int, str]] = {}
    for stem, name in files_in(folder / images, [ending]).items():
        match = _CHANNEL.fullmatch(stem)
        if match is None:
            raise UserError(
                f"{images}/{name} tells no channel\nin {folder}\nnnU-Net calls the first {stem}_0000{ending}"
            )
        parts.setdefault(match[1], {})[int(match[2])] = f"{images}/{name}"
    for case, files in parts.items():
        in_one = sorted(files) == [0] and ending.lower() in EXTENSIONS  # a photograph holds its three
        if sorted(files) != list(range(channels)) and not in_one:
            found = some([f"_{number:04d}" for number in sorted(files)])
            raise UserError(
                f"Case {case!r} of {images} has the channels {found}\nin {folder}\nand dataset.json names {channels}"
            )
    lost = sorted(set(masks) - set(parts), key=natural)
    if lost:
        log.warning("%s: %d masks are of no image in %s, for example %s", folder, len(lost), images, masks[lost[0]])
    return [
        ListedCase(
            name=case,
            images=tuple(files[number] for number in sorted(files)),
            mask=f"{labels}/{masks[case]}" if case in masks else "",
            split=split if split == "train" or case in masks else "predict",
        )
        for case, files in parts.items()
    ]


def _listed(entries: Mapping[str, Any], channels: int, path: Path) -> list[ListedCase]:
    """Cases that ``dataset`` of ``dataset.json`` lists, for training."""
    cases = []
    for name in sorted(entries, key=natural):
        entry = entries[name]
        images = entry.get("images") if isinstance(entry, dict) else None
        if not isinstance(images, list) or len(images) != channels or not isinstance(entry.get("label"), str):
            raise UserError(
                f"Case {name!r} of dataset is not as nnU-Net has it\nin {path}\n"
                f'Expected {{"images": [a file for each of {channels} channels], "label": FILE}}'
            )
        cases.append(ListedCase(name, tuple(map(str, images)), str(entry["label"])))
    return cases
