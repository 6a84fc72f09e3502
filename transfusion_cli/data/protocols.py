"""Named protocols: the splits that a paper used, sound by default, with its leaks only when asked for."""

from __future__ import annotations

import numpy as np

from transfusion_cli.data.samples import SampleTable, Split
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


def deal_images(table: SampleTable, shares: dict[Split, float], seed: int) -> None:
    """Split the rows of ``train`` image by image, whatever patients they belong to: the leak of image-level splits.

    Args:
        table: Changed in place.
        shares: Share of the images for each split that gets some; the rest stays.
        seed: Of the draw.
    """
    rows = np.random.default_rng(seed).permutation(table.rows("train"))
    start = 0
    for split, share in shares.items():
        end = start + round(share * len(rows))
        table.split[rows[start:end]] = split
        start = end


def thin_out(table: SampleTable, split: Split, size: int, seed: int) -> None:
    """Keep ``size`` images of a split, drawn at random; the rest go in no split."""
    rows = np.random.default_rng(seed).permutation(table.rows(split))
    table.split[rows[size:]] = ""


def repeat(table: SampleTable, rows: np.ndarray, split: Split) -> SampleTable:
    """Add copies of rows to another split, under ids of their own: the leak of a validation set drawn from training."""

    def add(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.concatenate([values, values[rows]])

    copies = np.char.add(table.ids[rows], f"#{split}")
    return SampleTable(
        ids=np.concatenate([table.ids, copies]),
        targets=np.concatenate([table.targets, table.targets[rows]]),
        split=np.concatenate([table.split, np.full(len(rows), split)]),
        patients=add(table.patients),
        paths=add(table.paths),
        domains=add(table.domains),
        exams=add(table.exams),
    )
