"""Second moments of two representations, gathered batch by batch."""

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.errors import UserError

ROWS = 4096
"""Data points turned to float64 at once, so that one huge batch needs no more memory than many small ones."""


class PairMoments:
    """All that the similarity measures need to know of two representations, in O(d²) memory.

    Activations are read once and not kept. Everything is summed in float64 about the running mean (Chan, Golub and
    LeVeque 1979), so neither a large mean nor millions of points cost digits. The sums live on the device of the first
    batch; MPS has no float64, so there they live on the CPU.

    Write ``u`` and ``v`` for one data point's deviations from the two means.

    Attributes:
        d1: neurons of the first representation.
        d2: neurons of the second.
        n: data points so far.
        mean1: ``(d1,)``.
        mean2: ``(d2,)``.
        xx: ``(d1, d1)``, the sum of ``u uᵀ``.
        xy: ``(d1, d2)``, the sum of ``u vᵀ``.
        yy: ``(d2, d2)``, the sum of ``v vᵀ``.
        norms: ``(2, 2)``, the sums of ``|u|⁴``, ``|u|²|v|²`` and ``|v|⁴``: with them the unbiased HSIC of linear
            kernels needs no n × n matrix (see ``cka``).
    """

    def __init__(self, d1: int, d2: int) -> None:
        self.d1, self.d2, self.n = d1, d2, 0
        self.mean1, self.mean2, self.xx, self.xy, self.yy, self.norms, self._thirds = (
            torch.zeros(shape, dtype=torch.float64)
            for shape in ((d1,), (d2,), (d1, d1), (d1, d2), (d2, d2), (2, 2), (2, d1 + d2))
        )  # _thirds: the sums of |u|² (u, v) and |v|² (u, v), which moving `norms` to another mean takes

    def update(self, x: Tensor, y: Tensor) -> None:
        """Takes in a batch.

        Args:
            x: ``(n, d1)``, activations of the first network.
            y: ``(n, d2)``, activations of the second at the same data points.

        Raises:
            ValueError: if the shapes do not fit.
            UserError: if an activation is infinite or not a number.
        """
        if x.shape != (len(x), self.d1) or y.shape != (len(x), self.d2):
            raise ValueError(f"expected (n, {self.d1}) and (n, {self.d2}), got {tuple(x.shape)} and {tuple(y.shape)}")
        if not self.n:
            self._to(torch.device("cpu") if x.device.type == "mps" else x.device)
        for x_rows, y_rows in zip(*(torch.split(z.detach(), ROWS) for z in (x, y)), strict=True):
            self._add(self._double(x_rows), self._double(y_rows))

    def _add(self, x: Tensor, y: Tensor) -> None:
        if not len(x):
            return
        share = len(x) / (self.n + len(x))
        mean1, mean2 = self.mean1.lerp(x.mean(dim=0), share), self.mean2.lerp(y.mean(dim=0), share)
        if not (mean1.isfinite().all() and mean2.isfinite().all()):
            raise UserError(
                f"Some activations of {self.d1} or {self.d2} neurons are infinite or not a number\n"
                "in what is to be compared: the training of this network has diverged, or its input is broken.\n"
                "Compare an earlier checkpoint, or compute in 32 bits."
            )
        self._move(mean1, mean2)
        self.n += len(x)
        x, y = x.sub_(mean1), y.sub_(mean2)
        self.xx.add_(_gram(x))
        self.xy.addmm_(x.T, y)
        self.yy.add_(_gram(y))
        sizes = torch.stack([torch.linalg.vector_norm(z, dim=1).square() for z in (x, y)])
        self._thirds.add_(torch.cat([sizes @ x, sizes @ y], dim=1))
        self.norms.add_(sizes @ sizes.T)

    def _move(self, mean1: Tensor, mean2: Tensor) -> None:
        """Takes all sums about another point; the deviations from the old mean sum to zero, which spares terms."""
        step1, step2 = mean1 - self.mean1, mean2 - self.mean2
        step, lengths = torch.cat([step1, step2]), torch.stack([step1 @ step1, step2 @ step2])
        spread = torch.stack([self.xx.trace(), self.yy.trace()])
        across = torch.stack(
            [torch.cat([step1 @ self.xx, step1 @ self.xy]), torch.cat([self.xy @ step2, self.yy @ step2])]
        )

        def along(rows: Tensor) -> Tensor:
            return torch.stack([rows[:, : self.d1] @ step1, rows[:, self.d1 :] @ step2], dim=1)

        # |u - s|² = |u|² - 2 u·s + |s|², multiplied out and summed
        mixed, lifted = along(self._thirds), spread.outer(lengths)
        self.norms += 4 * along(across) - 2 * (mixed + mixed.T) + lifted + lifted.T + self.n * lengths.outer(lengths)
        self._thirds -= 2 * across + (spread + self.n * lengths).outer(step)
        self.xx.addr_(step1, step1, alpha=self.n)
        self.xy.addr_(step1, step2, alpha=self.n)
        self.yy.addr_(step2, step2, alpha=self.n)
        self.mean1, self.mean2 = mean1, mean2

    def _double(self, rows: Tensor) -> Tensor:
        return rows.to(self.mean1.device).to(torch.float64, copy=True)

    def _to(self, device: torch.device) -> None:
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))


def _gram(rows: Tensor) -> Tensor:
    if rows.device.type != "cpu":
        return rows.T @ rows
    plain = rows.numpy()
    return torch.from_numpy(np.dot(plain.T, plain))  # numpy sees that the product is symmetric and does half of it
