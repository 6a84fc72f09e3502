"""Whether there is something to learn of every class."""

import logging
from collections.abc import Sequence

from transfusion_cli.data.samples import SampleTable
from transfusion_cli.data.splits import label_matrix
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)


def check_classes(table: SampleTable, target: Target, class_names: Sequence[str], part: bool) -> None:
    """See that every class occurs in training; a label may be missing from a small part of it, with a warning.

    Args:
        table: all samples.
        target: kind of target.
        class_names: names of its classes or labels (K).
        part: whether training was told to take a part of its samples.

    Raises:
        UserError: one does not.
    """
    rows = table.rows("train")
    if not len(rows):
        return
    present = label_matrix(table.targets[rows]).sum(axis=0) > 0
    names = class_names[1:] if target == "binary" else class_names
    absent = [name for i, name in enumerate(names) if i >= len(present) or not present[i]]
    if target == "binary" and not (table.targets[rows] < 0.5).any():
        absent = [class_names[0]]
    if not absent:
        return
    message = f"No training sample has {', '.join(map(repr, absent[:5]))}"
    if target == "multilabel" and part:
        log.warning("%s: their scores mean nothing", message)
        return
    raise UserError(
        f"{message}\namong the {len(rows)} training samples\n"
        "Use more training samples, or leave out classes and labels that do not occur."
    )
