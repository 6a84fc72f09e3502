"""Where a test went wrong most surely."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.segmentation import SegmentationEvaluation
from transfusion_cli.spreadsheet import spreadsheet_plain

MOST = 20


@dataclass(frozen=True)
class WorstError:
    """One case.

    Args:
        line: of the file of predictions, whose first is the header.
        id: of the sample; never written into a report.
        group: what is wrong, such as a class that was missed.
        truth: what it is.
        said: what it was taken for, with how sure.
        loss: from 0 to 1, how wrong.
    """

    line: int
    id: str
    group: str
    truth: str
    said: str
    loss: float

    @staticmethod
    def of(
        evaluation: Evaluation, predictions: Path, most: int = MOST
    ) -> tuple[list[WorstError], dict[str, tuple[int, int]]]:
        """The worst errors, of each group in turn, and how many there are of how many, by group.

        Labels are decided for as the file says (``decision_NAME``), else at 0.5.

        Args:
            evaluation: as ``read_tested`` gives it, its cases in the order of their ids.
            predictions: the file that it was made from.
            most: of them.
        """
        frame = pd.read_csv(predictions, dtype=str, keep_default_na=False)
        lines = np.arange(2, len(frame) + 2)
        order = frame.iloc[:, 0].sort_values(kind="stable").index.to_numpy()
        ids = np.array(spreadsheet_plain(frame.iloc[order, 0]), dtype=object)
        step = max(1, len(ids) // max(1, len(evaluation)))
        ids, lines = ids[::step], lines[order][::step]
        if isinstance(evaluation, ClassificationEvaluation):
            found, counts = _of_classes(evaluation, frame.iloc[order[::step]])
        elif isinstance(evaluation, SegmentationEvaluation):
            found, counts = _of_masks(evaluation)
        else:
            return [], {}
        made = (
            WorstError(int(lines[at]), str(ids[at]), group, truth, said, loss) for at, group, truth, said, loss in found
        )
        return _in_turn(made, most), counts


_Found = tuple[list[tuple[int, str, str, str, float]], dict[str, tuple[int, int]]]


def _of_classes(evaluation: ClassificationEvaluation, frame: pd.DataFrame) -> _Found:
    questions = evaluation.questions
    truth, known, chosen = (answers.numpy() for answers in (questions.truth, questions.known, questions.chosen))
    p = evaluation.probabilities.numpy()
    found: list[tuple[int, str, str, str, float]] = []
    counts: dict[str, tuple[int, int]] = {}
    if evaluation.target in ("multiclass", "ordinal"):
        for at, name in enumerate(questions.names):
            of_class = known[:, at] & truth[:, at]
            wrong = np.flatnonzero(of_class & ~chosen[:, at])
            counts[f"{name} taken for another"] = len(wrong), int(of_class.sum())
            for row in wrong.tolist():
                other = int(p[row].argmax())
                said = f"{questions.names[other]}, p = {p[row, other]:.3f} ({name}: {p[row, at]:.3f})"
                found.append((row, f"{name} taken for another", name, said, float(1 - p[row, at])))
        return found, counts
    for at, name in enumerate(questions.names):
        positives = _decided(frame, name, chosen[:, at])
        for positive, group in ((True, f"{name} missed"), (False, f"{name} where there is none")):
            of_side = known[:, at] & (truth[:, at] == positive)
            wrong = np.flatnonzero(of_side & (positives != truth[:, at]))
            counts[group] = len(wrong), int(of_side.sum())
            for row in wrong.tolist():
                loss = float(1 - p[row, at] if positive else p[row, at])
                found.append((row, group, name if positive else f"not {name}", f"p = {p[row, at]:.3f}", loss))
    return found, counts


def _decided(frame: pd.DataFrame, name: str, otherwise: np.ndarray) -> np.ndarray:
    """For which cases a label was decided (N,): as the run's threshold has it, where one is kept."""
    if (column := f"decision_{name}") not in frame:
        return otherwise
    told = frame[column].to_numpy()
    return np.where(told == "", otherwise, told == "1")


def _of_masks(evaluation: SegmentationEvaluation) -> _Found:
    """The cases with the least Dice of each class; all that have one count."""
    dice = evaluation.scores["dice"].numpy()
    found: list[tuple[int, str, str, str, float]] = []
    counts: dict[str, tuple[int, int]] = {}
    for at, name in enumerate(evaluation.class_names):
        defined = np.flatnonzero(np.isfinite(dice[:, at]))
        counts[f"{name}: Dice below 0.5"] = int((dice[defined, at] < 0.5).sum()), len(defined)
        found += [(row, name, name, f"Dice {dice[row, at]:.3f}", float(1 - dice[row, at])) for row in defined.tolist()]
    return found, counts


def _in_turn(errors: Iterable[WorstError], most: int) -> list[WorstError]:
    """At most so many, the worst of each group first, groups in turn; then sorted by group."""
    groups: dict[str, list[WorstError]] = {}
    for error in sorted(errors, key=lambda one: (-one.loss, one.line)):
        groups.setdefault(error.group, []).append(error)
    dealt = [one for row in zip_longest(*groups.values()) for one in row if one is not None][:most]
    return sorted(dealt, key=lambda one: (one.group, -one.loss, one.line))
