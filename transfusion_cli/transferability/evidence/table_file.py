"""Scores and outcomes in a table of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfusion_cli.data.layout.tables import numbers, read_table, refuse, require_columns
from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean
from transfusion_cli.transferability.evidence.static import STATIC

if TYPE_CHECKING:
    import pandas as pd

OUTCOME = "fine_tuned_auc"
"""The measure that is the outcome unless ``--outcome`` says otherwise."""

PAIR = ["source", "target"]


class Evidence(NamedTuple):
    """What is known of one thing to choose: ``source``, ``target``, ``value``, of scores also ``measure``.

    ``static`` is a static ranking of the user's own; by default it follows from the outcomes on other targets.
    """

    scores: pd.DataFrame
    outcomes: pd.DataFrame
    static: pd.DataFrame | None = None


def read_evidence(path: Path, outcome: str = OUTCOME) -> dict[str, Evidence]:
    """Read ``source``, ``target``, ``measure``, ``value`` and perhaps ``choosing``, a row for each number.

    Args:
        path: a CSV or Parquet file.
        outcome: the measure that says how good fine-tuning was; higher is better in all measures.

    Returns:
        By what is chosen, in the order of the file; ``source`` where there is no such column.

    Raises:
        UserError: it cannot be read, lacks a column or the outcome, or holds a value that is none or is there twice.
    """
    frame = read_values(path, ["measure"])
    measures = sorted(frame["measure"].unique())
    refuse(
        (frame["measure"] == STATIC).to_numpy(), frame["measure"], "measure", path, "any other name", "Reserved name"
    )
    found = {}
    for choosing, rows in frame.groupby("choosing", sort=False):
        is_outcome = rows["measure"] == outcome
        one = Evidence(rows.loc[~is_outcome, [*PAIR, "measure", "value"]], rows.loc[is_outcome, [*PAIR, "value"]])
        if one.outcomes.empty:
            other = did_you_mean(outcome, measures)
            raise UserError(f"No outcome {outcome!r} for choosing {choosing!r}\nin {path}\n{other} (--outcome)")
        if one.scores.empty:
            raise UserError(f"No score beside {outcome!r} for choosing {choosing!r}\nin {path}\nAdd rows of a score.")
        found[str(choosing)] = one
    return found


def read_values(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read ``source``, ``target``, further ``columns`` and ``value``, a row for each number; blank ones are left out.

    Returns:
        These columns and ``choosing``.

    Raises:
        UserError: it cannot be read, lacks a column, or holds a value that is none or is there twice.
    """
    frame = read_table(path.expanduser())
    keys = [*PAIR, *(columns or [])]
    require_columns(frame, [*keys, "value"], path)
    frame = frame.assign(choosing=frame.get("choosing", "source"))
    for column in ("choosing", *keys):
        refuse(frame[column].isna().to_numpy(), frame[column].fillna(""), column, path, "a name")
    values = numbers(frame["value"])
    missing = frame["value"].fillna("nan").str.lower().isin(["nan", "na"])
    refuse(np.isnan(values) & ~missing.to_numpy(), frame["value"], "value", path, "numbers with a point, or nothing")
    again = frame.duplicated(["choosing", *keys])
    names = frame[keys].agg(", ".join, axis=1)
    refuse(again.to_numpy(), names, "value", path, "one value each, such as the mean over seeds", "A second value of")
    known: pd.DataFrame = frame.assign(value=values).loc[np.isfinite(values)]
    if known.empty:
        raise UserError(f"{path} holds no numbers.\nGive a row for each {', '.join(keys)}, with its value.")
    return known
