"""One training by several processes, on several GPUs or machines, started by Hugging Face
Accelerate: each process draws the same batch and takes its slice. All processes together compute
the same step as one process with the whole batch.

Without a launcher there is one process: then these functions change nothing and do not import
Accelerate.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from statkit.errors import StatkitError

from .processes import INSTALL_CLUSTER, processes

Batch = TypeVar("Batch", bound=tuple)  # a named tuple of arrays
LONGEST_WAIT = timedelta(hours=12)  # for a main process that evaluates or waits for a lock


def own_device() -> torch.device | None:
    """The device that the launcher gave this process; None for a single process."""
    return _team().device if processes() > 1 else None


def broadcast_from_main(value):
    """The main process's value, on every process: a decision that all processes must share."""
    if processes() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    _team()
    return broadcast_object_list([value])[0]


def main_first():
    """A block that the other processes enter after the main process has left it."""
    return _team().main_process_first() if processes() > 1 else nullcontext()


def barrier() -> None:
    """Wait until every process has reached this point."""
    if processes() > 1:
        _team().wait_for_everyone()


def local_shard(batch: Batch) -> tuple[Batch, float | None]:
    """This process's part of a batch and its share of the batch; for a single process, the batch
    and None. If a batch has fewer clips than processes, each process takes all clips."""
    count, size = processes(), len(batch[0])
    if count == 1:
        return batch, None
    if size < count:
        return batch, 1 / count
    mine = np.array_split(np.arange(size), count)[_team().process_index]
    return type(batch)(*(values[mine] for values in batch)), len(mine) / size


def sum_gradients(network: nn.Module) -> None:
    """Replace the gradients on every process by the sum over all processes."""
    if processes() == 1:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    whole = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients]))
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, values in zip(gradients, whole.split(sizes), strict=True):
        gradient.copy_(values.view(gradient.shape))


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of all processes' values, on every process."""
    if processes() == 1:
        return values
    from accelerate.utils import reduce

    return reduce(values, "sum")


def broadcast_weights(network: nn.Module) -> None:
    """Copy the main process's weights to every process."""
    if processes() > 1:
        from accelerate.utils import broadcast

        _team()
        broadcast(network.state_dict())


@contextmanager
def whole_batch_statistics(network: nn.Module) -> Iterator[None]:
    """Batch normalisation that is not frozen computes its statistics over all processes' clips,
    like torch's SyncBatchNorm, but also on CPUs."""
    if processes() == 1:
        yield
        return
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    for layer in layers:
        layer.forward = partial(_normalise, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _team():
    """Accelerate's view of the processes; the first call connects them."""
    try:
        from accelerate import PartialState
    except ImportError as error:
        missing = f"processes that train together need Accelerate. {INSTALL_CLUSTER}"
        raise StatkitError(missing) from error
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return PartialState(cpu=asked or not torch.cuda.is_available(), timeout=LONGEST_WAIT)


class _SumOfAll(torch.autograd.Function):
    """A sum over processes; its gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(_, values: Tensor) -> Tensor:
        return sum_over_processes(values.contiguous())

    @staticmethod
    def backward(_, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient.contiguous())


def _normalise(layer: _BatchNorm, values: Tensor) -> Tensor:
    """Apply ``layer`` with mean and variance over the clips of all processes."""
    if not layer.training:
        return type(layer).forward(layer, values)
    axes, shape = [0, *range(2, values.ndim)], (1, -1) + (1,) * (values.ndim - 2)
    precise = values.float()
    count = sum_over_processes(precise.new_tensor(values.numel() / values.shape[1]))
    mean = _SumOfAll.apply(precise.sum(axes)) / count
    centred = precise - mean.view(shape)
    variance = _SumOfAll.apply(centred.square().sum(axes)) / count
    with torch.no_grad():
        layer.num_batches_tracked += 1
        layer.running_mean.lerp_(mean, layer.momentum)
        layer.running_var.lerp_(variance * count / (count - 1), layer.momentum)
    scale = layer.weight * (variance + layer.eps).rsqrt()
    return (centred * scale.view(shape) + layer.bias.view(shape)).to(values.dtype)
