"""The work of ``transfusion explain``, from a run's name to pictures."""

import argparse
import io
import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.cli.config.flags import INPUT
from transfusion_cli.cli.config.trusting import trusting, without_trust
from transfusion_cli.cli.exported import RunData, checkpoint_of
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.comparison.tested import read_tested
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.explanation.case import Case, Explained
from transfusion_cli.explanation.explain import explain
from transfusion_cli.explanation.pictures import case_figure, sheet
from transfusion_cli.explanation.summary import summary_of, table_of, warning_of
from transfusion_cli.export.whole_folder import whole_folder
from transfusion_cli.files import require_writable
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.run_report.worst_errors import WorstError
from transfusion_cli.spreadsheet import spreadsheet_frame
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.restore import restore
from transfusion_cli.versions import free_path

log = logging.getLogger(__name__)


def explained(own: argparse.Namespace, rest: list[str]) -> Path:
    """Explain cases of a run.

    Args:
        own: flags of the verb.
        rest: flags of the data, and modules to trust.

    Returns:
        The folder.

    Raises:
        UserError: the run cannot be explained, or there are no such cases.
    """
    quieten()
    folder, checkpoint = checkpoint_of(own.run, own.root)
    output = folder.explained if own.output is None else own.output.expanduser()
    with trusting(rest) as given:
        task = can_be_explained(restore(checkpoint, without_trust(rest)[1]), folder)
        label = number_of(own.label, task.class_names)
        errors = [] if own.worst is None else worst_errors(folder, own.worst)
        require_writable(output)
        where = ["--ckpt_path", str(checkpoint)]
        if own.input is not None:
            data = RunData([*where, INPUT, own.input, *given], "predict").datamodule
        else:
            data = RunData([*where, *given]).datamodule
        data.network_size = task.input_size[1:]
        if own.input is not None:
            cases = cases_of(data, task, data.samples.ids.tolist())
        elif own.ids is not None:
            cases = cases_of(data, task, list(dict.fromkeys(own.ids)))
        else:
            cases = cases_of(data, task, [error.id for error in errors], errors)
        if label is not None:
            cases = [Case(one.id, one.image, one.target, one.truth, label, one.group) for one in cases]
        found = explain(task, cases)
    path = free_path(output)
    write(path, found, with_sheet=own.worst is not None)
    print(summary_of(found))
    if told := warning_of(found):
        log.warning("%s", told)
    print(f"\nWritten to {path}/")
    return path


def can_be_explained(task: TransferTask, run: RunFolder) -> ClassificationTask:
    """The task, where there are class activation maps of it.

    Raises:
        UserError: it is one on volumes, or does not classify.
    """
    if task.dims == 3:
        raise UserError(
            f"{run} is a run on volumes; classifiers of images are explained.\n"
            f"Its errors case by case: transfusion report {shlex.quote(str(run))}"
        )
    if not isinstance(task, ClassificationTask):
        raise UserError(
            f"{run} is a run of {type(task).__name__}; classifiers of images (ClassificationTask) are explained.\n"
            f"Its masks over their images: transfusion predict {shlex.quote(str(run))}"
        )
    return task


def number_of(name: str | None, names: Sequence[str]) -> int | None:
    """Number of the class or label that ``--label`` names.

    Raises:
        UserError: there is none.
    """
    if name is None:
        return None
    if name not in names:
        raise UserError(f"There is no class or label {name!r}.\n{did_you_mean(name, names)}")
    return list(names).index(name)


def worst_errors(folder: RunFolder, most: int) -> list[WorstError]:
    """The worst errors of a run's test.

    Raises:
        UserError: it was not tested, or there is none.
    """
    record = RunRecord.read(folder)
    tested = read_tested(record)
    if isinstance(tested, str) or record.predictions is None:
        raise UserError(f"{folder} {tested}\nOr explain cases by their names: --ids, --input")
    errors, _ = WorstError.of(tested.evaluation, record.predictions, most)
    if not errors:
        raise UserError(f"The test of {folder} has no errors to explain.\nGive cases by their names: --ids")
    return errors


def cases_of(
    data: MedicalDataModule, task: ClassificationTask, ids: Sequence[str], errors: Sequence[WorstError] = ()
) -> list[Case]:
    """Read images, as evaluation does.

    Args:
        data: with its split.
        task: that explains them.
        ids: of the samples.
        errors: what is wrong with each, where they are errors.

    Raises:
        UserError: there is no such sample, or none can be read.
    """
    rows = dict(zip(data.samples.ids.tolist(), range(len(data.samples)), strict=True))
    sets: dict[str, Any] = {}
    cases = []
    for at, name in enumerate(ids):
        if name not in rows or not data.samples.split[rows[name]]:
            raise UserError(f"There is no case {name!r} in the run's data.\n{did_you_mean(name, rows, EXAMPLE)}")
        split = str(data.samples.split[rows[name]])
        if split not in sets:
            sets[split] = data.image_set(split)  # type: ignore[arg-type]
        sample = sets[split][int(np.searchsorted(data.samples.rows(split), rows[name]))]  # type: ignore[arg-type]
        if int(sample["index"]) < 0:
            log.warning("%s cannot be read, and is left out.", name)
            continue
        group = errors[at].group if errors else ""
        truth = "unknown" if split == "predict" else task.captions(sample["target"][None])[0]
        label = label_of(group, task) if errors else None
        cases.append(Case(name, sample["image"], sample["target"], truth, label, group))
    if not cases:
        raise UserError("None of the images can be read.\nGive others.")
    return cases


EXAMPLE = "split.csv in the run folder names them all."


def label_of(group: str, task: ClassificationTask) -> int | None:
    """The label that an error is about, where there are several answers to an image."""
    if task.target != "multilabel":
        return None
    return next(
        (
            number
            for number, name in enumerate(task.class_names)
            if group in (f"{name} missed", f"{name} where there is none")
        ),
        None,
    )


def write(path: Path, found: Sequence[Explained], with_sheet: bool) -> None:
    """All pictures and the table, or nothing."""
    files = [f"{number:03d}_{file_name(one.case.id)}.png" for number, one in enumerate(found, start=1)]
    with whole_folder(path) as folder:
        for one, name in zip(found, files, strict=True):
            (folder / name).write_bytes(png_of(case_figure(one)))
        if with_sheet:
            (folder / "worst.png").write_bytes(png_of(sheet(found)))
        frame = spreadsheet_frame(table_of(found, files))
        (folder / "maps.csv").write_text(frame.to_csv(index=False), encoding="utf-8")


def file_name(name: str) -> str:
    """The end of an id, as a file may be called everywhere."""
    return re.sub(r"[^\w.-]+", "_", name)[-60:].strip("._") or "case"


def png_of(figure: Any) -> bytes:
    """A figure as a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
