"""What the values in a mask's file stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfusion_cli.data.masks.mismatch import UnknownValue
from transfusion_cli.data.reading.label_images import read_label_image
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

BACKGROUND, IGNORED = "background", "ignore"
"""Names of values that are no class."""

_NEAR = 8
"""Grey levels around black and white that a palette may put in their place: DRIVE's second observer has 3 and 253."""

Value = int | tuple[int, int, int]


@dataclass(frozen=True)
class MaskValues:
    """Turns the values of mask files into labels, and labels into such values.

    Args:
        labels: label of each grey value, or of each colour; None for masks of one class that are black and white, or
            hold 0 and 1.
        threshold: grey value from which on a pixel belongs to the one class, whatever ``labels`` say; null refuses
            values that stand for nothing.
    """

    labels: dict[Value, int] | None = None
    threshold: int | None = None

    @classmethod
    def of(
        cls, classes: Sequence[str] | Mapping[str, str], threshold: int | None = None
    ) -> tuple[list[str], MaskValues]:
        """Names of the classes, and what the values stand for.

        Args:
            classes: names of the values 1, 2 and so on, or the name of each value: a grey value, or a colour written
                ``255,0,0``. ``background`` and ``ignore`` are no classes; values of the same name are one.
            threshold: as above.

        Raises:
            UserError: no class, a value that is none, grey values among colours, or a threshold for several classes.
        """
        if isinstance(classes, Mapping):
            named = {_value(key): str(name) for key, name in classes.items()}
        else:
            named = {number: str(name) for number, name in enumerate(classes, 1)}
        names = list(dict.fromkeys(name for name in named.values() if name not in (BACKGROUND, IGNORED)))
        if not names:
            raise UserError("classes names no class\nTry --data.classes [vessel], or {1: liver, 2: tumour}")
        if len({isinstance(value, tuple) for value in named}) > 1:
            raise UserError("classes holds grey values and colours\nGive every value as a colour, such as 255,0,0.")
        if threshold is not None and len(names) > 1:
            raise UserError(f"threshold is for masks of one class, and there are {len(names)}\nLeave one of both out.")
        if isinstance(classes, Mapping):
            special = {BACKGROUND: 0, IGNORED: IGNORE}
            labels = {
                value: special.get(name, 1 + names.index(name) if name in names else 0) for value, name in named.items()
            }
            black: Value = (0, 0, 0) if isinstance(next(iter(labels)), tuple) else 0
            return names, cls({black: 0} | labels, threshold)
        if len(set(classes)) < len(classes) or len(names) < len(classes):
            raise UserError(
                f"classes must be different names of classes, got {list(classes)}\nGive values: {{1: NAME}}"
            )
        if len(names) == 1:
            return names, cls(None, threshold)
        return names, cls({number: number for number in range(len(names) + 1)}, threshold)

    @property
    def coloured(self) -> bool:
        """Whether classes are told by colours."""
        return self.labels is not None and any(isinstance(value, tuple) for value in self.labels)

    def read(self, path: Path) -> np.ndarray:
        """Labels in a file, uint8 (H, W): 0, classes from 1, and ``IGNORE``.

        Raises:
            UserError: it cannot be read, or holds values that stand for nothing.
        """
        by_value = self.threshold is None and not self.coloured
        values = read_label_image(path, indices=by_value)
        if self.threshold is not None:
            return (grey(values) >= self.threshold).astype(np.uint8)
        if self.labels is None:
            return self._black_and_white(values, path)
        return self._looked_up(values, path)

    def write(self, labels: np.ndarray, path: Path) -> Path:
        """Write labels (H, W) as values, lossless; the ending of ``path`` names the format, PNG or TIFF.

        Raises:
            OSError: no space, no such folder.
        """
        from PIL import Image

        table = {0: 0, 1: 255} if self.labels is None else _inverse(self.labels)
        width = 3 if self.coloured else 1
        lookup = np.zeros((256, width), dtype=np.uint16 if max(map(_most, table.values())) > 255 else np.uint8)
        for label, value in table.items():
            lookup[label] = value
        pixels = lookup[labels]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels if self.coloured else pixels[..., 0]).save(path)
        return path

    def _black_and_white(self, values: np.ndarray, path: Path) -> np.ndarray:
        if values.ndim == 2 and values.max(initial=0) <= 1 and values.min(initial=0) >= 0:
            return values.astype(np.uint8)
        values = grey(values)
        between = (values > _NEAR) & (values < 255 - _NEAR) | (values < 0) | (values > 255)
        if between.any():
            found = np.unique(values[between])
            raise UnknownValue(
                f"{between.sum():,} pixels of the mask {path} are neither black nor white, for example {found[0]}\n"
                "If that is smoothing or JPEG, save it anew without, or take values from 128 on: --data.threshold 128\n"
                f"If its {len(found) + 2} values are classes, name them: --data.classes '{{{found[0]}: NAME}}'"
            )
        return (values > 127).astype(np.uint8)

    def _looked_up(self, values: np.ndarray, path: Path) -> np.ndarray:
        assert self.labels is not None
        if values.ndim == 2 and self.coloured:
            values = np.repeat(values[..., None], 3, axis=2)
        if values.ndim == 3 and not self.coloured:
            raise UserError(
                f"The mask {path} is in colour, and classes are told by grey values\n"
                "Name its colours: --data.classes '{\"255,0,0\": NAME}'"
            )
        codes = values.astype(np.int64)
        if self.coloured:
            codes = codes @ np.array([1 << 16, 1 << 8, 1])
        table = {_code(value): label for value, label in self.labels.items()}
        found, where, counts = np.unique(codes, return_inverse=True, return_counts=True)
        unknown = [place for place, code in enumerate(found.tolist()) if code not in table]
        if unknown:
            worst = max(unknown, key=lambda place: counts[place])
            known = ", ".join(_told(value) for value in sorted(self.labels, key=_code))
            raise UnknownValue(
                f"{int(counts[unknown].sum()):,} pixels of the mask {path} have {len(unknown)} value(s) of no class, "
                f"most of them {_told(self._named(int(found[worst])))} ({counts[worst]:,} pixels)\nKnown are {known}\n"
                "Name it in --data.classes, as background or ignore if it is no class; smoothed masks: save them anew."
            )
        return np.array([table.get(code, 0) for code in found.tolist()], np.uint8)[where].reshape(codes.shape)

    def _named(self, code: int) -> Value:
        return (code >> 16, code >> 8 & 255, code & 255) if self.coloured else code


def grey(values: np.ndarray) -> np.ndarray:
    """Grey values of a file (H, W), by Pillow's weights (ITU-R BT.601) where it has colours."""
    if values.ndim == 2:
        return values
    return np.asarray(np.rint(values[..., :3] @ np.array([0.299, 0.587, 0.114])).astype(np.int64))


def _value(key: object) -> Value:
    """A value as classes name it: 3, "3" or "255,0,0"."""
    parts = str(key).strip("()[] ").split(",")
    if len(parts) in (1, 3) and all(part.strip().isdigit() for part in parts):
        numbers = [int(part) for part in parts]
        if len(numbers) == 1:
            return numbers[0]
        if max(numbers) <= 255:
            return numbers[0], numbers[1], numbers[2]
    raise UserError(f"classes: {key!r} is no value of a mask\nGive a whole number, or a colour such as 255,0,0.")


def _inverse(labels: Mapping[Value, int]) -> dict[int, Value]:
    """The first value of each label."""
    return {label: value for value, label in reversed(list(labels.items()))}


def _code(value: Value) -> int:
    return (value[0] << 16) + (value[1] << 8) + value[2] if isinstance(value, tuple) else value


def _told(value: Value) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _most(value: Value) -> int:
    return max(value) if isinstance(value, tuple) else value
