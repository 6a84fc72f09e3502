"""What the values in mask files stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.errors import UserError
from transfusion_cli.targets import MaskTarget

BACKGROUND, UNKNOWN = "background", "ignore"
"""Names of labels that are no classes."""


@dataclass(frozen=True)
class MaskLabels:
    """Classes or regions, and the values that mask files have for them.

    Args:
        names: of the K classes, or of the regions.
        values: what each value of a file is in a mask: 0, a label from 1, or ``IGNORE``.
        regions: labels in each region, where regions overlap.
    """

    names: list[str]
    values: dict[int, int]
    regions: list[list[int]] | None = None

    @property
    def target(self) -> MaskTarget:
        """Kind of target."""
        return "mask" if self.regions is None else "regions"

    @classmethod
    def of(cls, named: Mapping[str, object], source: Path | str) -> MaskLabels:
        """Read names and values in any of the usual forms.

        ``{"background": 0, "liver": 1}``, as nnU-Net has it; ``{"0": "background", "1": "liver"}``, as the Medical
        Segmentation Decathlon has it; lists of values, ``{"whole": [1, 2], "core": [2]}``, for regions. ``ignore`` is
        no class. Values need not be consecutive: the labels of a mask are, in their order.

        Args:
            named: the labels.
            source: where they stand, for messages.

        Raises:
            UserError: something else.
        """
        names = _by_name(named, source)
        background = {0, *names.pop(BACKGROUND, [])}
        unknown = names.pop(UNKNOWN, [])
        known = sorted({value for values in names.values() for value in values} - background)
        if not known or any(not set(values) - background for values in names.values()):
            raise UserError(
                f"No class in the labels {str(dict(named))[:200]}\nof {source}\nExpected for example {_EXAMPLE}"
            )
        if len(known) >= IGNORE:
            raise UserError(f"{len(known)} classes are more than the {IGNORE - 1} that a mask can hold\nin {source}")
        labels = dict.fromkeys(background, 0) | {value: i for i, value in enumerate(known, 1)}
        labels |= dict.fromkeys(unknown, IGNORE)
        if all(len(values) == 1 for values in names.values()):
            order = sorted(names, key=lambda name: names[name])
            if len(order) > len(known):
                raise UserError(f"Two classes have the same value in the labels {str(dict(named))[:200]}\nof {source}")
            return cls(order, labels)
        regions = [sorted({labels[value] for value in values} - {0}) for values in names.values()]
        return cls(list(names), labels, regions)


_EXAMPLE = '{"background": 0, "liver": 1, "tumour": 2}'


def _by_name(named: Mapping[str, object], source: Path | str) -> dict[str, list[int]]:
    """Values of each name."""
    found: dict[str, list[int]] = {}
    for key, value in named.items():
        # The Decathlon has value to name.
        turned = isinstance(value, str) and str(key).isdecimal()
        name, values = (str(value), key) if turned else (str(key), value)
        try:
            numbers = [int(str(number)) for number in (values if isinstance(values, list | tuple) else [values])]
        except (TypeError, ValueError):
            numbers = []
        if not numbers or min(numbers) < 0:
            raise UserError(f"Cannot read the label {key!r}: {value!r}\nof {source}\nExpected for example {_EXAMPLE}")
        name = name.strip()
        name = name.lower() if name.lower() in (BACKGROUND, UNKNOWN) else name
        found[name] = found.get(name, []) + numbers
    return found
