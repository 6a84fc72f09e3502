"""What checkpoints of this program say of themselves, taken as data of known kinds or not at all."""

from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from transfusion_cli.errors import UserError


class Base(TypedDict):
    """The weights that a run started from: where they came from, and the hash of each tensor."""

    source: str
    tensors: dict[str, str]


class Network(TypedDict, total=False):
    """What full and delta checkpoints say; the first four of these are always there."""

    backbone: str
    input_size: list[int]
    carried: list[str]
    class_names: list[str]
    target: Literal["binary", "multilabel", "multiclass", "ordinal", "mask", "regions"]
    patch: list[int] | None
    regions: list[list[int]] | None
    metrics: dict[str, float]
    split: str | None
    source_classes: int
    state_sha256: str


class Run(Network, total=False):
    """What full checkpoints say beside, for a run to go on."""

    base: Base
    phases: list[str]
    phase: int
    phase_start: tuple[int, int]
    reestimated: bool
    optimizer: list[dict[str, bool | int | float | str]]
    plateau: dict[str, Any] | None
    epoch_loss: list[float]


_NEEDED: dict[type, tuple[str, ...]] = {
    Network: ("backbone", "input_size", "carried", "class_names"),
    Run: ("backbone", "input_size", "carried", "base", "phases", "phase", "phase_start", "reestimated", "optimizer"),
}


def described(data: dict[str, Any], kind: type, path: object) -> dict[str, Any]:
    """``data`` if it is a description.

    Args:
        data: what a file holds.
        kind: ``Network`` or ``Run``.
        path: the file, for the message.

    Raises:
        UserError: something is missing, or of another kind.
    """
    try:
        TypeAdapter(kind).validate_python(data, strict=True)
        missing = next((name for name in _NEEDED[kind] if name not in data), None)
        if missing is not None:
            raise ValueError(f"{missing}: missing")
        if kind is Run and not 0 <= data["phase"] < len(data["phases"]):
            raise ValueError("phase: none of its phases")
        if len(data["input_size"]) not in (3, 4):
            raise ValueError("input_size: not three numbers, nor four")
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'its description'}: {first['msg']}"
        raise _damaged(path, reason) from None
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    return data


def _damaged(path: object, reason: str) -> UserError:
    return UserError(f"{path} is damaged, or not as this program wrote it ({reason[:200]}).\nGive another checkpoint.")
