"""Recording what a network does."""

from torch import Tensor

from transfusion_cli.errors import UserError


def two_of(images: Tensor) -> Tensor:
    """Two images to record with: one alone would make an axis of length 1 seem something that may be left out."""
    return images[:2] if len(images) > 1 else images.repeat(2, 1, 1, 1)


def not_recorded(backbone: str, error: Exception) -> UserError:
    """What to say where a network cannot be recorded."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return UserError(
        f"What {backbone} does cannot be recorded: {reason[:200]}\n"
        "Nothing was written. Take the weights alone: --format timm"
    )
