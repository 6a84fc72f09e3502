"""Recording what a network does."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.export.trained_run import TrainedRun


def two_of(images: Tensor) -> Tensor:
    """Two images to record with: one alone would make an axis of length 1 seem something that may be left out."""
    return images[:2] if len(images) > 1 else images.repeat(2, 1, 1, 1)


def compared(run: TrainedRun, answers: Callable[[Tensor], Sequence[Any]]) -> float:
    """See that a recorded network does what the run did, in batches of other sizes than were recorded too.

    Args:
        run: what it is of.
        answers: gives logits and probabilities of images, by the file that was written.

    Returns:
        The largest difference.

    Raises:
        UserError: it gives something else, or nothing.
    """
    images = run.reference.images
    try:
        every, one = answers(images), answers(images[:1])
    except Exception as error:  # a size that was taken for a constant, in the main
        raise not_recorded(run.architecture, error) from error
    return max(run.reference.agree(*every[:2]), run.reference.first(1).agree(*one[:2]))


def not_recorded(backbone: str, error: Exception) -> UserError:
    """What to say where a network cannot be recorded."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return UserError(
        f"What {backbone} does cannot be recorded: {reason[:200]}\n"
        "Nothing was written. Take the weights alone: --format timm"
    )
