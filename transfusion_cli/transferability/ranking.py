"""Candidates in order, by every score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.labels import View
from transfusion_cli.transferability.scoring import NOWHERE, score_all
from transfusion_cli.transferability.survey import Survey

if TYPE_CHECKING:
    import pandas as pd

AC_CORR = "ac_corr"
PARAMETERS = "parameters"
"""The static ranking that is always at hand: larger networks first."""

TITLES = {AC_CORR: "AC-Corr", PARAMETERS: "Parameters"}
"""Of measures that are no ``Score``."""


@dataclass(frozen=True)
class Ranking:
    """What was found.

    Args:
        chosen: measure that it is sorted by.
        titles: title of each measure.
        scores: ``source``, ``target``, ``measure``, the fields of ``Standing``, ``seconds`` and ``why``.
        higher: whether more is better, by measure.
        facts: of each candidate: ``parameters``, ``width``, ``input``, ``source_classes``, ``drawn``, ``seconds`` (of
            its features), ``ac_corr`` and what stands beside it.
        failed: candidates that could not be looked at, with the reason.
        images: in words.
        halves: how many.
        left_out: classes or labels that no score could take into account.
        training: before AC-Corr.
    """

    chosen: str
    titles: Mapping[str, str]
    scores: pd.DataFrame
    higher: Mapping[str, bool]
    facts: pd.DataFrame
    failed: Mapping[str, str]
    images: str
    halves: int
    left_out: Sequence[str] = ()
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signed(self) -> pd.DataFrame:
        """``scores`` with values of which more is better."""
        sign = [1 if self.higher[name] else -1 for name in self.scores["measure"]]
        return self.scores.assign(value=self.scores["value"] * sign)

    @property
    def values(self) -> pd.DataFrame:
        """Candidates by measures, higher is better, NaN where undefined."""
        return self.signed.pivot(index="source", columns="measure", values="value")

    @property
    def order(self) -> list[str]:
        """Names of the candidates, the best by the chosen measure first, those without it last."""
        values = self.values[self.chosen].reindex(self.facts.index)  # ties stay as they were named
        return list(values.sort_values(ascending=False, kind="stable").index)

    @property
    def winner(self) -> str | None:
        """The first, if it has a value."""
        first = self.order[0]
        return first if math.isfinite(self.row(first, self.chosen)["value"]) else None

    @property
    def best_first(self) -> pd.DataFrame:
        """``scores`` in the order of the candidates: what ``--table`` reads, with more columns."""
        place = {name: position for position, name in enumerate(self.order)}
        return self.scores.sort_values("source", key=lambda names: names.map(place), kind="stable")

    @property
    def about(self) -> dict[str, Any]:
        """What is no table, as plain data."""
        words = {"images": self.images, "halves": self.halves, "chosen": self.chosen, "order": self.order}
        return words | {
            "left_out": list(self.left_out),
            "ac_corr": dict(self.training),
            "failed": dict(self.failed),
        }

    @property
    def kendall(self) -> pd.DataFrame:
        """Kendall's tau of each measure with each, over the candidates that have both, three or more."""
        table = self.values.reindex(columns=list(self.titles))
        known = table.columns[(table.notna().sum() > 1) & (table.nunique() > 1)]
        return table[known].corr("kendall", min_periods=3)  # of two the order is one of two

    def row(self, source: str, measure: str) -> dict[str, Any]:
        """One score of one candidate."""
        rows = self.scores[(self.scores["source"] == source) & (self.scores["measure"] == measure)]
        return {str(name): value for name, value in rows.iloc[0].items()}


def rank(
    survey: Survey,
    chosen: Sequence[str],
    known: Mapping[str, Score],
    images: Images,
    target: str,
    halves: int,
    seed: int,
    training: Mapping[str, Any] | None = None,
) -> Ranking:
    """Put the candidates that were looked at in order.

    Args:
        survey: with one candidate or more.
        chosen: measures, the first of which decides the order.
        known: every score by its name.
        images: that they were shown.
        target: what the data are called.
        halves: of the patients, for intervals.
        seed: of their draw.
        training: before AC-Corr.
    """
    import pandas as pd

    data = images.data
    if halves < 2 or images.patients < 4:
        halves = 0
    scores = {name: known[name] for name in chosen if name in known}
    rows = score_all(survey.seen, scores, images, halves, seed)
    if AC_CORR in chosen:
        for one in survey.seen:
            value = math.nan if one.correlation is None else one.correlation.value
            rows.append(_row(one.candidate.name, AC_CORR, value, one.correlation_seconds, one.why))
    rows += [_row(one.candidate.name, PARAMETERS, float(one.parameters)) for one in survey.seen]
    frame = pd.DataFrame(rows)
    frame.insert(1, "target", target)
    titles = {
        name: known[name].title if name in known else TITLES[name] for name in dict.fromkeys([*chosen, PARAMETERS])
    }
    higher = {name: name not in known or known[name].higher_is_better for name in titles}
    told = f"{len(images):,} {data.unit} of {images.patients:,} patients ({images.split})"
    if data.samples.patients is None:
        told = f"{len(images):,} {data.unit} whose patients are unknown ({images.split})"
    nothing = torch.empty(len(images), 0)
    left_out = View(data.target, data.class_names, images.targets, nothing).left_out
    facts = _facts(survey)
    return Ranking(chosen[0], titles, frame, higher, facts, survey.failed, told, halves, left_out, training or {})


def _row(source: str, measure: str, value: float, seconds: float = 0.0, why: str = "") -> dict[str, Any]:
    alone = replace(NOWHERE, value=value)
    return {"source": source, "measure": measure, **asdict(alone), "seconds": seconds, "why": why}


def _facts(survey: Survey) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for one in survey.seen:
        size = " x ".join(map(str, one.size))
        row = {"source": one.candidate.name, "parameters": one.parameters, "width": one.width, "input": size}
        row |= {"source_classes": one.classes, "drawn": one.drawn, "seconds": one.seconds}
        beside = {"ac_corr": "value", "ac_corr_per_channel": "per_channel"}
        beside |= {"ac_corr_baseline": "baseline", "ac_corr_update": "update"}
        rows.append(row | {name: getattr(one.correlation, own, math.nan) for name, own in beside.items()})
    return pd.DataFrame(rows).set_index("source")
