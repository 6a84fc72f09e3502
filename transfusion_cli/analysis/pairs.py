"""Similarity of the layers of several networks over the same images."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch

from transfusion_cli.analysis.measures import MEASURES
from transfusion_cli.analysis.measures.score import Score
from transfusion_cli.analysis.measures.streaming import PairMoments
from transfusion_cli.analysis.subject import Batch, Subject
from transfusion_cli.analysis.taps import Activation, Taps
from transfusion_cli.errors import UserError

logger = logging.getLogger(__name__)

Key = tuple[str, str, str, str]
"""Two networks, then a layer of each."""


def layer_similarity(
    subjects: Sequence[Subject],
    layers: Mapping[str, Sequence[str]],
    batches: Iterable[Batch],
    measures: Sequence[str] = ("cca", "cka"),
    positions: int = 16,
    all_pairs: bool = False,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Compare every two networks layer by layer, reading each batch once and running each network once on it.

    Maps of the same size are compared at the same positions, positions being data points; maps of different size by
    their means over all positions, images being data points. Neighbouring positions say much the same, so a chance
    level for independent data points is a lower bound of what unrelated networks reach.

    Args:
        subjects: two networks or more.
        layers: layers of each network, by its name.
        batches: the images.
        measures: keys of ``MEASURES``.
        positions: positions drawn from each map; 0 compares means over all positions throughout.
        all_pairs: compare each layer with each, in place of layers of the same name.
        seed: seed of the positions.
        device: where the networks are.

    Returns:
        Rows with network_a, network_b, layer_a, layer_b, measure, value, chance, d_a, d_b and n. What is undefined,
        such as CCA with fewer data points than neurons, is NaN and warned of.

    Raises:
        UserError: two networks have no layer in common.
    """
    keys = _keys(subjects, layers, all_pairs)
    moments = gather_moments(subjects, layers, keys, batches, positions, seed, device)
    rows = []
    for key, pair in moments.items():
        for measure in measures:
            score = _score(measure, pair, key)
            names = dict(zip(("network_a", "network_b", "layer_a", "layer_b"), key, strict=True))
            values = {"measure": measure, "value": score.value, "chance": score.chance}
            rows.append({**names, **values, "d_a": pair.d1, "d_b": pair.d2, "n": pair.n})
    return rows


@torch.no_grad()
def gather_moments(
    subjects: Sequence[Subject],
    layers: Mapping[str, Sequence[str]],
    keys: Sequence[Key],
    batches: Iterable[Batch],
    positions: int,
    seed: int,
    device: torch.device | str,
) -> dict[Key, PairMoments]:
    """The joint moments of the pairs of layers in ``keys``; arguments as for ``layer_similarity``."""
    moments: dict[Key, PairMoments] = {}
    for number, batch in enumerate(batches):
        images = batch["image"].to(device)
        seen: dict[str, dict[str, Activation]] = {}
        for subject in subjects:
            with Taps(subject.network, layers[subject.name], positions or 1, seed, number) as taps:
                subject(images)
                seen[subject.name] = taps.take()
        for key in keys:
            a, b = seen[key[0]][key[2]], seen[key[1]][key[3]]
            x, y = (a.points, b.points) if positions and a.size == b.size else (a.pooled, b.pooled)
            if key not in moments:
                moments[key] = PairMoments(x.shape[1], y.shape[1])
            moments[key].update(x, y)
    return moments


def _keys(subjects: Sequence[Subject], layers: Mapping[str, Sequence[str]], all_pairs: bool) -> list[Key]:
    keys: list[Key] = []
    for a, b in combinations([subject.name for subject in subjects], 2):
        ours, theirs = layers[a], layers[b]
        pairs = [(x, y) for x in ours for y in theirs] if all_pairs else [(x, x) for x in ours if x in theirs]
        if not pairs:
            raise UserError(f"{a} and {b} have no layers of the same name.\nCompare each with each: --all-pairs")
        keys += [(a, b, *pair) for pair in pairs]
    return keys


def _score(measure: str, pair: PairMoments, key: Key) -> Score:
    try:
        return MEASURES[measure](pair)
    except UserError as error:
        logger.warning("%s of %s (%s) and %s (%s) is undefined: %s", measure, key[2], key[0], key[3], key[1], error)
        return Score(math.nan, math.nan)
