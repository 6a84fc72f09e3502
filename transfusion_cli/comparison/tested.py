"""What the test of a run found, case by case."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.spreadsheet import spreadsheet_plain
from transfusion_cli.targets import Target

CLOSE = 1e-3
"""How far a metric of ``predictions_test.csv`` may be from that of ``results.json``, which ranks by logits."""


class Tested(NamedTuple):
    """The evaluation of a test, its cases in the order of their ids, and a hash of ids and truth: which test it was."""

    test: str
    evaluation: ClassificationEvaluation


def read_tested(run: RunRecord) -> Tested | str:
    """The predictions beside the results of a run, or why there are none to compare by."""
    if run.predictions is None:
        return f"was not tested: transfusion test {run.folder}"
    if not run.predictions.is_file():
        return f"has no {run.predictions.name} beside its results: transfusion test {run.folder}"
    try:
        tested = _read(run.predictions, ordinal="test/kappa" in run.results)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        return f"{run.predictions.name} is not as the run wrote it ({reason}): transfusion test {run.folder}"
    for name, value in tested.evaluation.metrics.items():
        if (said := run.test(name)) is not None and abs(value - said) > CLOSE:
            return f"{run.predictions.name} and its results are of different tests: transfusion test {run.folder}"
    return tested


def _read(path: Path, ordinal: bool) -> Tested:
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.columns = pd.Index(spreadsheet_plain(frame.columns))
    frame = frame.sort_values(frame.columns[0], kind="stable")
    ids, columns = frame[frame.columns[0]].tolist(), list(frame.columns[1:])
    scores = [name for name in columns if name.startswith("p_")]
    labels = [name for name in columns if name.startswith("label_")]
    classes = [name.removeprefix("p_") for name in scores]
    if not classes or not (labels or "label" in columns):
        raise ValueError("no columns of probabilities and labels")
    probabilities = torch.tensor(frame[scores].to_numpy(float))
    if labels:
        target: Target = "binary" if len(labels) == 1 else "multilabel"
        classes = [f"not {classes[0]}", classes[0]] if target == "binary" else classes
        truth = torch.tensor(frame[labels].replace("", "nan").to_numpy(float))
    else:
        target = "ordinal" if ordinal else "multiclass"
        number = {name: at for at, name in enumerate(classes)} | {"": -1}
        truth = torch.tensor([number[name] for name in spreadsheet_plain(frame["label"])])
    known = "patient" in columns and (frame["patient"] != "").all()
    patients = frame["patient"].to_numpy() if known else None
    digest = hashlib.sha256(repr((ids, classes)).encode() + np.nan_to_num(truth.double().numpy(), nan=-1).tobytes())
    return Tested(digest.hexdigest(), ClassificationEvaluation.of(target, classes, probabilities, truth, patients))
