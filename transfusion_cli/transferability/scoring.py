"""Scores of the candidates that were looked at, over all images and over halves of the patients."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from transfusion_cli.data.feature_store import feature_key
from transfusion_cli.errors import UserError
from transfusion_cli.transferability import scores as package
from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.scores.base import Score
from transfusion_cli.transferability.scores.halves import Standing, halves, standings
from transfusion_cli.transferability.scores.labels import View
from transfusion_cli.transferability.survey import Seen, reason

NOWHERE = Standing(**dict.fromkeys((field.name for field in fields(Standing)), math.nan))
"""Of a candidate that has no score."""


def score_all(
    seen: Sequence[Seen], chosen: Mapping[str, Score], images: Images, number: int, seed: int
) -> list[dict[str, Any]]:
    """Score every candidate by every score; what was worked out before is read from the candidates' books.

    Args:
        seen: the candidates.
        chosen: the scores.
        images: that they were shown.
        number: random halves of the patients, the same for all; fewer than 2 give no intervals.
        seed: of the draw.

    Returns:
        Rows with ``source``, ``measure``, the fields of ``Standing``, ``seconds`` and ``why``, a clause where there is
        no value.
    """
    parts = halves(images.targets, images.groups, number, seed)
    entries = {name: _entry(score, images, number, seed) for name, score in chosen.items()}
    with tqdm(total=len(seen) * len(chosen) * (1 + len(parts)), unit="score", leave=False, disable=None) as bar:
        for one in seen:
            missing = {name: chosen[name] for name in chosen if one.book.get(entries[name]) is None}
            bar.update((len(chosen) - len(missing)) * (1 + len(parts)))
            bar.set_description(one.candidate.name)
            for name, kept in _work(missing, one, images, parts, bar).items():
                one.book.put(entries[name], kept)
    rows: list[dict[str, Any]] = []
    for name, score in chosen.items():
        kept_of_all = [one.book.get(entries[name]) or {} for one in seen]
        rows += _rows(name, score, [one.candidate.name for one in seen], kept_of_all)
    return rows


def _work(
    chosen: Mapping[str, Score], one: Seen, images: Images, parts: Sequence[torch.Tensor], bar: Any
) -> dict[str, dict[str, Any]]:
    """Terms of some scores of one candidate: of all images, then of each half, each view of it alone in memory."""
    if not chosen:
        return {}
    data = images.data
    columns = {name: torch.as_tensor(values.copy()).flatten(1) for name, values in one.rows.items()}
    whole = View(data.target, data.class_names, images.targets, groups=images.groups, **columns)
    made: dict[str, dict[str, Any]] = {}
    for name, score in chosen.items():
        start = time.perf_counter()
        try:
            if score.needs_source and not one.classes:
                raise UserError("its source has no classifier")
            made[name] = {"terms": whole.terms(score), "why": ""}
        except UserError as error:
            made[name] = {"terms": None, "why": reason(error)}
        made[name] |= {"seconds": time.perf_counter() - start, "halves": []}
        bar.update()
    for rows in parts:
        half = whole.take(rows)
        for name, score in chosen.items():
            if made[name]["terms"] is not None:
                made[name]["halves"].append(_of_half(half, score))
            bar.update()
    return made


def _of_half(half: View, score: Score) -> tuple[float, ...] | None:
    try:
        return half.terms(score)
    except UserError:  # a rare class of one patient may be missing
        return None


def _entry(score: Score, images: Images, number: int, seed: int) -> str:
    """The name of a score in a candidate's book, by all that decides it beside the features."""
    options = sorted((name, repr(value)) for name, value in vars(score).items())
    facts = (sources_of_scores(), options, images.data.target, number, seed)
    return f"{score.name} {feature_key(*facts, images.targets.numpy(), images.groups.numpy())}"


@cache
def sources_of_scores() -> str:
    """A hash of how scores are computed: what another version of this program has kept is no good for this one."""
    folder = Path(package.__path__[0])
    return feature_key(*(path.read_bytes() for path in sorted(folder.glob("*.py"))))


def _rows(
    name: str, score: Score, sources: Sequence[str], kept: Sequence[Mapping[str, Any]]
) -> Iterable[dict[str, Any]]:
    known = [place for place, one in enumerate(kept) if one["terms"] is not None]
    found = [NOWHERE] * len(kept)
    if known:
        table = zip(*(kept[place]["halves"] for place in known), strict=True)
        parts = [[tuple(one) for one in half] for half in table if None not in half]  # intervals are of all alike
        all_terms = [tuple(kept[place]["terms"]) for place in known]
        for place, standing in zip(known, standings(score, all_terms, parts), strict=True):
            found[place] = standing
    for source, standing, one in zip(sources, found, kept, strict=True):
        yield {"source": source, "measure": name, **asdict(standing), "seconds": one["seconds"], "why": one["why"]}
