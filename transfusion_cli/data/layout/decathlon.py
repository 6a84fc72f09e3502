"""The Medical Segmentation Decathlon's tasks in their folders."""

from __future__ import annotations

import re
from pathlib import Path

from transfusion_cli.data.layout.cases import ListedCase, files_in
from transfusion_cli.data.layout.tree import is_content, some
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

ENDINGS = (".nii.gz", ".nii")

_TASK = re.compile(r"Task(\d+)_(\w+)", re.IGNORECASE)


def find_task(root: Path, task: str | None) -> Path | None:
    """The folder of a task, which is ``root`` or lies in it.

    Args:
        root: a folder.
        task: ``Task09_Spleen``, ``spleen`` or ``9``; None for the only one that is there.

    Returns:
        The folder; None where there is no task at all.

    Raises:
        UserError: there are several and none is named, or none is called so.
    """
    near = [root, *sorted(path for path in root.iterdir() if path.is_dir() and is_content(path.name))]
    found = {path.name: path for path in near if (path / "dataset.json").is_file()}
    if not found:
        return None
    if task is None:
        if len(found) > 1:
            raise UserError(
                f"{len(found)} tasks in {root}: {some(list(found), 10)}\nTake one: --data.task {next(iter(found))}"
            )
        return next(iter(found.values()))
    for name, path in found.items():
        match = _TASK.fullmatch(name)
        words = {name.lower(), *((match[2].lower(), match[1], str(int(match[1]))) if match else ())}
        if task.lower() in words:
            return path
    raise UserError(f"task: no {task!r} in {root}\n{did_you_mean(task, found)}")


def task_cases(folder: Path) -> list[ListedCase]:
    """Cases of ``imagesTr`` with their masks, and those of ``imagesTs``, which have none."""
    masks = files_in(folder / "labelsTr", ENDINGS)
    train = [
        ListedCase(name, (f"imagesTr/{file}",), f"labelsTr/{masks[name]}" if name in masks else "", patient=name)
        for name, file in files_in(folder / "imagesTr", ENDINGS).items()
    ]
    test = files_in(folder / "imagesTs", ENDINGS).items()
    return train + [ListedCase(name, (f"imagesTs/{file}",), split="predict", patient=name) for name, file in test]
