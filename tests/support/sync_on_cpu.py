"""PyTorch's synchronised batch normalisation runs on GPUs alone; this one, with differentiable sums, anywhere."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from transfusion_cli.tasks.processes import differentiable_sum


def forward(layer: nn.SyncBatchNorm, x: Tensor) -> Tensor:
    """Normalise by the statistics of all processes' inputs, and let the running averages move by them."""
    if not layer.training:
        return nn.functional.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias, False, 0.0, layer.eps
        )
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    number = x.numel() / x.shape[1] * dist.get_world_size()
    mean = differentiable_sum(x.sum(axes)) / number
    var = differentiable_sum(((x - mean.view(shape)) ** 2).sum(axes)) / number
    with torch.no_grad():
        layer.running_mean.lerp_(mean, layer.momentum)
        layer.running_var.lerp_(var * number / (number - 1), layer.momentum)
        layer.num_batches_tracked += 1
    normalised = (x - mean.view(shape)) * torch.rsqrt(var.view(shape) + layer.eps)
    return normalised * layer.weight.view(shape) + layer.bias.view(shape)


def synchronise_on_cpu() -> None:
    """Put it in the place of PyTorch's, and let a run on CPUs ask for it."""
    import transfusion_cli.training.spread as spread

    nn.SyncBatchNorm.forward = forward
    nn.parallel.DistributedDataParallel._passing_sync_batchnorm_handle = lambda *_: None
    spread._check_batch_norm = lambda trainer, phase: None
