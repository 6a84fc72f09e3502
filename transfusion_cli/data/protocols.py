"""Named protocols: the splits that a paper used, sound by default, with its leaks only when asked for."""

from __future__ import annotations

import numpy as np

from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.splits import draw_numbers
from transfusion_cli.errors import UserError


def check_literal(protocol: str, literal: bool) -> None:
    """Fail where leaks are asked for of a protocol that has none.

    Raises:
        UserError: ``literal`` without ``partial_transfusion``.
    """
    if literal and protocol != "partial_transfusion":
        raise UserError(
            "literal repeats the leaks of one paper's splits\n"
            f"and goes with --data.protocol partial_transfusion alone, not {protocol}"
        )


def in_random_order(table: SampleTable, split: Split, seed: int) -> np.ndarray:
    """Rows of a split, image by image in an order that their ids and the seed decide."""
    rows = table.rows(split)
    return rows[np.argsort(draw_numbers(table.ids[rows], seed), kind="stable")]


def deal_images(table: SampleTable, shares: dict[Split, float], seed: int) -> None:
    """Split the rows of ``train`` image by image, whatever patients they belong to: the leak of image-level splits.

    Args:
        table: changed in place.
        shares: share of the images for each split that gets some; the rest stays.
        seed: of the draw.
    """
    rows = in_random_order(table, "train", seed)
    start = 0
    for split, share in shares.items():
        end = start + round(share * len(rows))
        table.split[rows[start:end]] = split
        start = end


def thin_out(table: SampleTable, sizes: dict[Split, int], seed: int) -> None:
    """Keep so many images of each of these splits, drawn at random; the rest go in no split."""
    for split, size in sizes.items():
        table.split[in_random_order(table, split, seed)[size:]] = ""


def repeat(table: SampleTable, rows: np.ndarray, split: Split) -> SampleTable:
    """Add copies of rows to another split, under ids of their own: the leak of a validation set drawn from training."""
    copied = table.take(np.concatenate([np.arange(len(table)), rows]))
    copied.ids = np.concatenate([table.ids, np.char.add(table.ids[rows], f"#{split}")])
    copied.split[len(table) :] = split
    return copied
