"""Decisions of several runs, each by its own calibration and thresholds, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.at_threshold import AtThreshold
from transfusion_cli.metrics.decisions.quality import CHOSEN
from transfusion_cli.metrics.results import Results
from transfusion_cli.reports.decided import CALIBRATED, quality_results, threshold_results
from transfusion_cli.reports.decision_tables import decided_table, quality_table
from transfusion_cli.spreadsheet import spreadsheet_plain

if TYPE_CHECKING:
    import pandas as pd

DECISION = "decision"
VOTES = "votes_"
"""What stands before a label where there is the share of networks that call it so."""


class MemberDecisions(NamedTuple):
    """What one run decided of N cases.

    Args:
        calibrated: probability of each of K labels, float64 (N, K).
        chosen: bool (N,), what it calls each label that it has a threshold for; of classes, whether it is the one.
        exclusive: whether they are classes, of which each case has one.
    """

    calibrated: np.ndarray
    chosen: Mapping[str, np.ndarray]
    exclusive: bool

    @classmethod
    def read(cls, frame: pd.DataFrame, names: Sequence[str]) -> Self | None:
        """From a table of predictions, its rows in the order that is wanted; None where nothing was decided.

        Args:
            frame: as ``test`` or ``predict`` wrote it.
            names: of the labels.
        """
        columns = dict(zip(spreadsheet_plain(frame.columns), frame.columns, strict=True))
        if not all(f"{CALIBRATED}{name}" in columns for name in names):
            return None
        calibrated = [frame[columns[f"{CALIBRATED}{name}"]].astype(float).to_numpy() for name in names]
        exclusive = DECISION in columns
        if exclusive:
            said = np.array(spreadsheet_plain(frame[columns[DECISION]]), dtype=object)
            chosen = {name: said == name for name in names}
        else:
            found = {name: columns.get(f"{DECISION}_{name}") for name in names}
            chosen = {name: frame[key].astype(float).to_numpy() > 0.5 for name, key in found.items() if key}
        return cls(np.stack(calibrated, axis=1), chosen, exclusive)


def decision_columns(names: Sequence[str]) -> set[str]:
    """Columns of a table of predictions that are about decisions.

    Args:
        names: of the labels.
    """
    return {DECISION, *(f"{start}{name}" for start in (CALIBRATED, f"{DECISION}_") for name in names)}


def ensemble_columns(members: Sequence[MemberDecisions], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Of networks that saw the same cases: means of calibrated probabilities, and shares of votes.

    Nothing is decided: a threshold is for the probabilities of one network, and was fitted to no mean. ``votes_`` is
    the share of networks that call a label so, each at its own threshold, for labels that all have one for.

    Args:
        members: the networks.
        names: of the labels.
    """
    mean = np.mean([one.calibrated for one in members], axis=0)
    found = {f"{CALIBRATED}{name}": column for name, column in zip(names, mean.T, strict=True)}
    voted = [name for name in names if all(name in one.chosen for one in members)]
    return found | {f"{VOTES}{name}": np.mean([one.chosen[name] for one in members], axis=0) for name in voted}


class DecidedTogether(NamedTuple):
    """Columns (N,) of a table, entries of ``results.json``, and the same as text, with a title of its own."""

    columns: dict[str, np.ndarray]
    results: Results
    title: str
    text: str


def decided_together(
    how: str, evaluation: ClassificationEvaluation, members: Sequence[MemberDecisions]
) -> DecidedTogether:
    """What calibration and decisions of several runs are worth together.

    Of pooled folds each case is judged by its own network's calibration and threshold, so that all are out of fold. Of
    an ensemble there is the mean of calibrated probabilities, and no decision.

    Args:
        how: ``pooled`` or ``ensemble``.
        evaluation: of all cases, before calibration.
        members: each with its cases, in the order of the evaluation.
    """
    names = list(evaluation.questions.names)
    if how == "ensemble":
        columns = ensemble_columns(members, names)
        mean = np.stack([columns[f"{CALIBRATED}{name}"] for name in names], axis=1)
        results, text = _quality(evaluation, mean, names)
        return DecidedTogether(columns, results, "Calibration of the mean of calibrated probabilities", text)
    calibrated = np.concatenate([one.calibrated for one in members])
    columns = {f"{CALIBRATED}{name}": column for name, column in zip(names, calibrated.T, strict=True)}
    results, text = _quality(evaluation, calibrated, names)
    title = "Calibration and decisions, each sample by those of its own network"
    shared = [name for name in names if all(name in one.chosen for one in members)]
    chosen = {name: np.concatenate([one.chosen[name] for one in members]) for name in shared}
    if members[0].exclusive:
        said = np.stack([chosen[name] for name in names], axis=1).argmax(axis=1)
        return DecidedTogether(columns | {DECISION: np.array(names, dtype=object)[said]}, results, title, text)
    columns |= {f"{DECISION}_{name}": column.astype(int) for name, column in chosen.items()}
    if chosen:
        results |= threshold_results(_at_thresholds(evaluation, chosen), "test")
        text += f"\n\n{decided_table(dict.fromkeys(chosen, ''), results, 'test')}"
    return DecidedTogether(columns, results, title, text)


def _quality(evaluation: ClassificationEvaluation, calibrated: Any, names: Sequence[str]) -> tuple[Results, str]:
    after = replace(evaluation, probabilities=torch.as_tensor(calibrated), scores=None)
    results = quality_results(evaluation, "test") | quality_results(after, "test", CALIBRATED)
    questions = (*names, *([CHOSEN] if evaluation.target == "multiclass" else []))
    return results, quality_table(dict.fromkeys(questions, ""), results, "test")


def _at_thresholds(evaluation: ClassificationEvaluation, chosen: Mapping[str, np.ndarray]) -> AtThreshold:
    """Decisions at thresholds that differ from case to case."""
    questions = evaluation.questions
    at = [questions.names.index(name) for name in chosen]
    return AtThreshold(
        index=evaluation.index,
        patients=evaluation.patients,
        names=list(chosen),
        thresholds=[float("nan")] * len(at),
        chosen=torch.from_numpy(np.stack(list(chosen.values()), axis=1)),
        answers=questions.truth[:, at],
        known=questions.known[:, at],
    )
