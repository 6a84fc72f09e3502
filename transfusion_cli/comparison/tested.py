"""What the test of a run found, case by case."""

import hashlib
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import NamedTuple

import numpy as np

from transfusion_cli import metrics as room
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.spreadsheet import spreadsheet_plain

CLOSE = 1e-3
"""How far a metric of ``predictions_test.csv`` may be from that of ``results.json``, which ranks by logits."""


class Tested(NamedTuple):
    """The evaluation of a test, its cases in the order of their ids (N,), and a hash of ids and truth: which it was."""

    test: str
    evaluation: Evaluation
    ids: np.ndarray


def read_tested(run: RunRecord) -> Tested | str:
    """The predictions beside the results of a run, or why there are none to compare by."""
    if run.predictions is None:
        return f"was not tested: transfusion test {run.folder}"
    if not run.predictions.is_file():
        return f"has no {run.predictions.name} beside its results: transfusion test {run.folder}"
    try:
        tested = read_predictions(run.predictions, [name.removeprefix("test/") for name in run.results])
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        return f"{run.predictions.name} is not as the run wrote it ({reason}): transfusion test {run.folder}"
    for name, value in tested.evaluation.metrics.items():
        if (said := run.test(name)) is not None and abs(value - said) > CLOSE:
            return f"{run.predictions.name} and its results are of different tests: transfusion test {run.folder}"
    return tested


def read_predictions(path: Path, metrics: Collection[str]) -> Tested:
    """What a file of predictions says.

    Args:
        path: the file.
        metrics: names of what was measured, without split.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not as a test wrote it.
        KeyError: likewise.
    """
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame = frame.sort_values(frame.columns[0], kind="stable")
    columns = {
        name: np.array(spreadsheet_plain(frame[column]), dtype=object)
        for name, column in zip(spreadsheet_plain(frame.columns), frame.columns, strict=True)
    }
    if not len(ids := columns.pop(next(iter(columns)))):
        raise ValueError("no rows")
    made = (kind.of_table(columns, metrics) for kind in _kinds())
    evaluation = next((one for one in made if one is not None), None)
    if evaluation is None:
        raise ValueError("columns that no kind of task predicts")
    each, left = divmod(len(ids), len(evaluation))
    if left:
        raise ValueError(f"{len(ids)} rows of {len(evaluation)} cases")
    if "patient" in columns and (columns["patient"] != "").all():
        evaluation = evaluation.of_patients(columns["patient"][::each])
    truth = {name: column.tolist() for name, column in evaluation.reference().items()}
    facts = (type(evaluation).__name__, ids[::each].tolist(), list(evaluation.columns()), truth)
    return Tested(hashlib.sha256(repr(facts).encode()).hexdigest(), evaluation, ids[::each])


def _kinds() -> Iterator[type[Evaluation]]:
    """All kinds of evaluation that the metrics' folder has or somebody imported."""
    for module in walk_packages(room.__path__, f"{room.__name__}."):
        import_module(module.name)
    found = Evaluation.__subclasses__()
    for kind in found:
        found += kind.__subclasses__()
        yield kind
