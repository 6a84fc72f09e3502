"""Images whose blocks are out of place: the statistics of natural images without their arrangement."""

from __future__ import annotations

import numpy as np

from transfusion_cli.errors import UserError


class BlockShuffle:
    """Cuts every image into square blocks and lays them out in one and the same random order.

    What a network still gains from pretraining on such images is not the shape of what it sees (Neyshabur, Sedghi
    and Zhang, What is being transferred in transfer learning?, NeurIPS 2020; they shuffle 224-pixel images in blocks
    of 1, 2, 4, 7, 8, 14, 16, 28, 32, 56 and 112 pixels). Blocks of 1 shuffle the pixels, channels of a pixel staying
    together; one block as large as the image changes nothing.

    Args:
        size: height and width of the images.
        block: side of the blocks in pixels.
        seed: of the order of the blocks.

    Raises:
        UserError: when the blocks do not fill the image: a margin left in place would tell what the rest hides.
    """

    def __init__(self, size: tuple[int, int], block: int, seed: int) -> None:
        if any(side % block for side in size):
            fitting = [side for side in range(1, min(size) + 1) if not any(length % side for length in size)]
            raise UserError(
                f"shuffle_blocks: blocks of {block} pixels do not fill images of {size[0]} x {size[1]}\n"
                f"Choose one of {', '.join(map(str, fitting))}, or another --data.image_size."
            )
        self.size, self.block = size, block
        number = size[0] * size[1] // block**2
        # Raw bits of a bit generator are the same in every release of numpy; those of its distributions may change.
        self.order = np.argsort(np.random.PCG64(seed).random_raw(number), kind="stable")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Shuffle (H, W) or (H, W, C); type and shape stay."""
        return self._rearranged(image, self.order)

    def inverse(self, image: np.ndarray) -> np.ndarray:
        """Put every block back to its place."""
        return self._rearranged(image, np.argsort(self.order))

    def _rearranged(self, image: np.ndarray, order: np.ndarray) -> np.ndarray:
        rows, columns = (side // self.block for side in self.size)
        grid = image.reshape(rows, self.block, columns, self.block, -1).swapaxes(1, 2)
        blocks = grid.reshape(rows * columns, self.block, self.block, -1)[order]
        return np.asarray(blocks.reshape(grid.shape).swapaxes(1, 2).reshape(image.shape))
