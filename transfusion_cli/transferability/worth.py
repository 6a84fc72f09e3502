"""What the scores of a ranking were worth, where it is known what fine-tuning gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.evidence.report import told
from transfusion_cli.transferability.evidence.table_file import Evidence
from transfusion_cli.transferability.ranking import PARAMETERS, Ranking
from transfusion_cli.transferability.static import named_alike

if TYPE_CHECKING:
    import pandas as pd


def target_of(asked: str | None, data: str, outcomes: pd.DataFrame | None) -> str:
    """What outcomes call the data that are ranked for.

    Args:
        asked: by the user.
        data: what the data are called otherwise.
        outcomes: with the column ``target``.

    Raises:
        UserError: outcomes are of several targets, none of which is called as the data are.
    """
    name = asked or data
    if outcomes is None:
        return name
    targets = list(dict.fromkeys(outcomes["target"]))
    if asked is None and len(targets) == 1:
        return str(targets[0])
    if name not in targets:
        some = ", ".join(map(str, targets[:6]))
        raise UserError(f"None of the outcomes is of the target {name!r}; there are {some}\nName it by --target")
    return name


def worth(
    ranking: Ranking, outcomes: pd.DataFrame, static: pd.DataFrame | None, outcome: str, folder: Path | None = None
) -> str:
    """How well the scores agree with outcomes, beside a ranking that never looks at the target.

    That is the user's own; where there is none, what outcomes on other targets say; where these are none either, the
    number of parameters.

    Args:
        ranking: of the candidates.
        outcomes: ``source``, ``target``, ``value``; on other targets too.
        static: ``source``, ``value``.
        outcome: what the outcomes are, in words.
        folder: takes tables and a figure.
    """
    scores, own = ranking.signed, named_alike(outcomes, ranking.order)
    note = ""
    if static is None and own["target"].nunique() == 1:
        static = scores.loc[scores["measure"] == PARAMETERS, ["source", "value"]]
        scores = scores[scores["measure"] != PARAMETERS]
        note = "\nThat is larger networks first here: there are no outcomes on other targets (--static gives your own)."
    if static is not None:
        static = named_alike(static, ranking.order)
        own = own[own["target"].isin(scores["target"])]
    scores = scores.assign(measure=scores["measure"].map(ranking.titles)).dropna(subset="value")
    one = Evidence(scores[["source", "target", "measure", "value"]], own[["source", "target", "value"]], static)
    return told({"source": one}, outcome, folder) + note
