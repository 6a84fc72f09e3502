"""Images as a network takes them."""

import torch
from torch import Tensor

from transfusion_cli.errors import UserError


def normalised(image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Images in the scale that weights expect.

    Args:
        image: (B, C, H, W) or (B, C, D, H, W), uint8 in 0..255 or float in 0..1; one channel is repeated to as
            many as the network takes.
        mean: of each of these, (1, C, 1, 1) or (1, C, 1, 1, 1).
        std: likewise.

    Raises:
        UserError: when the images have other axes or channels than the network.
    """
    if image.ndim != mean.ndim:
        kinds = {4: "images", 5: "volumes"}
        raise UserError(
            f"The data are {kinds.get(image.ndim, tuple(image.shape))} and the network is one for {kinds[mean.ndim]}.\n"
            "Take the network of a run on such data, or other data."
        )
    image = image.to(mean.dtype) / (255 if image.dtype == torch.uint8 else 1)
    channels = mean.shape[1]
    if image.shape[1] == 1 and channels > 1:
        image = image.expand(-1, channels, *image.shape[2:])
    if image.shape[1] != channels:
        raise UserError(
            f"The images have {image.shape[1]} channels and the network takes {channels}.\n"
            f"Set --model.in_chans {image.shape[1]}."
        )
    return (image - mean) / std
