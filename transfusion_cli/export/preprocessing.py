"""What is made of an image before a network sees it, as a run did it.

Resizing is left to whoever calls an exported network. The same formulas in float32, rounded at the end, give other grey
levels than OpenCV's fixed-point arithmetic in up to an eighth of the pixels (by 1 of 255; enlarging, and halving): far
more than 1e-5 in the logits, and OpenCV runs wherever the files do.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from transfusion_cli.data.transform.resize import ResizeMode

HOW: dict[ResizeMode, str] = {
    "stretch": "resized to height x width, whatever its aspect ratio",
    "crop": "resized until it covers height x width, its aspect ratio kept, and the middle cut out",
    "pad": "shrunk until it fits into height x width, its aspect ratio kept, never enlarged, in the middle of zeros",
}

METHOD = (
    "OpenCV's INTER_AREA where height and width both shrink, INTER_LINEAR otherwise, on grey levels of the file's depth"
)


@dataclass(frozen=True)
class Preprocessing:
    """From an image as read to the input of the network.

    Args:
        channels: of images as read, 1 or 3.
        size: height and width that they are resized to.
        resize: how.
        mean: of each channel of the network, for images in 0..1.
        std: likewise.
    """

    channels: int
    size: tuple[int, int]
    resize: ResizeMode
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def rule(self) -> dict[str, Any]:
        """All of it as plain data, in words where a number does not say it."""
        order = "grey" if self.channels == 1 else "red, green, blue"
        return {
            "input": "float32 (batch, channels, height, width) from 0 to 255, resized; not normalised",
            "channels": self.channels,
            "order": order,
            "height": self.size[0],
            "width": self.size[1],
            "resize": self.resize,
            "resize_how": HOW[self.resize],
            "resize_method": METHOD,
            "then": "value / 255, one channel repeated to as many as there are means, (value - mean) / std",
            "mean": list(self.mean),
            "std": list(self.std),
        }


def levels(image: Tensor) -> Tensor:
    """Grey levels, float32 from 0 to 255, of images as the data give them: uint8, or float in 0..1."""
    return image.float() if not image.is_floating_point() else image.float() * 255
