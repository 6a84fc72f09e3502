"""A ranking in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from transfusion_cli.text import aligned
from transfusion_cli.text import table as in_columns

if TYPE_CHECKING:
    from transfusion_cli.transferability.ranking import Ranking

CAUTION = (
    "Intervals are about other patients like these. None of this says that the first is the best to fine-tune:\n"
    "see what a score is worth on your own outcomes (--outcomes), beside a ranking that never looks at the target."
)


def told(ranking: Ranking) -> str:
    """Everything there is to say of a ranking.

    Args:
        ranking: of at least one candidate.
    """
    parts = [first_table(ranking), all_scores(ranking), correlations(ranking), agreement(ranking), missing(ranking)]
    if ranking.winner is not None and ranking.facts.loc[ranking.winner, "drawn"]:
        parts.append(
            "The first has weights drawn at random: by this score nothing here is worth more than no pretraining."
        )
    return "\n\n".join(part for part in [*parts, CAUTION] if part)


def first_table(ranking: Ranking) -> str:
    """Candidates in order, by the chosen score."""
    title = ranking.titles[ranking.chosen]
    rows = [
        [
            "",
            "candidate",
            title,
            "95 % interval",
            "behind",
            "95 % interval",
            "first in",
            "parameters",
            "features",
            "input",
        ]
    ]
    for place, name in enumerate(ranking.order, start=1):
        score, facts = ranking.row(name, ranking.chosen), ranking.facts.loc[name]
        rows.append(
            [
                str(place),
                name,
                number(score["value"]),
                interval(score["low"], score["high"]),
                number(score["behind"]) if score["behind"] else "",
                interval(score["behind_low"], score["behind_high"]) if score["behind"] else "",
                f"{score['first']:.0%}" if ranking.halves and not math.isnan(score["first"]) else "",
                f"{facts['parameters']:,}",
                str(facts["width"]),
                str(facts["input"]),
            ]
        )
    if ranking.halves:
        note = f"behind the first, on the same patients; first in how many of {ranking.halves} random halves of them"
    else:
        note = "no intervals: they take two halves of the patients or more (--halves)"
    return "\n".join([f"By {title}, on {ranking.images}", "", *in_columns(rows), note])


def all_scores(ranking: Ranking) -> str:
    """Every score of every candidate, with what it cost in all."""
    measures = [name for name in ranking.titles if ranking.scores["measure"].eq(name).any()]
    if len(measures) < 2:
        return ""
    spent = ranking.scores.groupby("measure")["seconds"].sum()
    rows = [["candidate", *places(ranking), "seconds"]]
    for measure in measures:
        values = [number(ranking.row(name, measure)["value"]) for name in ranking.order]
        rows.append([ranking.titles[measure], *values, f"{spent[measure]:.1f}" if spent[measure] else ""])
    features = ranking.facts["seconds"].sum()
    return "\n".join([*aligned(rows, numbers=True), f"Features took {features:.1f} s, once for all scores."])


def places(ranking: Ranking) -> list[str]:
    """Numbers of the candidates, as the first table has them."""
    return [str(place) for place in range(1, len(ranking.order) + 1)]


def correlations(ranking: Ranking) -> str:
    """What stands beside AC-Corr."""
    known = ranking.facts[ranking.facts["ac_corr"].notna()]
    if known.empty:
        return ""
    rows = [["AC-Corr", "sum", "of each channel", "without a step", "length of the update"]]
    columns = ["ac_corr", "ac_corr_per_channel", "ac_corr_baseline", "ac_corr_update"]
    rows += [[str(name), *(number(row[column]) for column in columns)] for name, row in known.iterrows()]
    how = ranking.training
    note = (
        f"{how['optimizer']} at {how['lr']:g}, {how['taken']} step{'' if how['taken'] == 1 else 's'} of "
        f"{how['batch_size']} images, seed {how['seed']}; sums compare networks of equal widths alone"
    )
    return "\n".join([*aligned(rows, numbers=True), note])


def agreement(ranking: Ranking) -> str:
    """Kendall's tau of each score with each."""
    matrix = ranking.kendall
    if len(matrix) < 2 or len(ranking.order) < 3:
        return ""
    numbers = [f"({place})" for place in range(1, len(matrix) + 1)]
    rows = [["Kendall's tau", *numbers]]
    for place, name, values in zip(numbers, matrix.index, matrix.to_numpy().tolist(), strict=True):
        cells = ["" if value != value else f"{value:.2f}" for value in values]
        rows.append([f"{place} {ranking.titles[str(name)]}", *cells])
    return "\n".join(aligned(rows, numbers=True))


def missing(ranking: Ranking) -> str:
    """What could not be ranked, or not by some score, and why."""
    lines = [f"Not ranked: {name}: {why}." for name, why in ranking.failed.items()]
    if ranking.left_out:
        lines.append(f"Left out, as these images cannot tell: {', '.join(ranking.left_out)}.")
    without = ranking.scores[ranking.scores["why"] != ""]
    for (measure, why), rows in without.groupby(["measure", "why"], sort=False):
        lines.append(f"No {ranking.titles[str(measure)]} of {', '.join(rows['source'])}: {why}.")
    return "\n".join(lines)


def number(value: float) -> str:
    """Four digits; nothing for what is undefined."""
    if not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def interval(low: float, high: float) -> str:
    """From, to."""
    return "" if math.isnan(low) else f"{number(low)} to {number(high)}"
