"""The two stages (paper, Section 4.2): a single model learns from labels; then a student learns
from labels and from a fixed teacher's spatial and temporal attention."""

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from statkit.errors import StatkitError

from .data.stored import FrameStore, Source
from .losses import PARTS, LossParts, STATLoss
from .models import STATNet
from .recipes import Recipe
from .runtime import distributed
from .runtime.cache import fingerprint, write_atomically
from .runtime.device import autocast, out_of_memory, pick_device
from .runtime.processes import computed_ahead, is_main, processes
from .runtime.progress import progress_bar
from .sampling import BatchIndex, train_batches
from .teacher import Teacher


class CheckpointError(StatkitError):
    """Training cannot continue from a checkpoint; the message gives the reason."""


@dataclass
class History:
    """Mean loss parts of every epoch, by their names in :data:`statkit.losses.PARTS`; and the
    seconds of all epochs, also of those before an interruption."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def train_single(
    network: STATNet,
    source: Source,
    store: FrameStore,
    clips: np.ndarray,
    recipe: Recipe,
    **options,
) -> History:
    """Stage one: cross-entropy only. Arguments and errors as in :func:`train_transfer`."""
    loss = STATLoss(ce=1, sat=0, tat=0)
    return train_transfer(network, source, store, clips, recipe, None, loss, **options)


def train_transfer(
    student: STATNet,
    source: Source,
    store: FrameStore,
    clips: np.ndarray,
    recipe: Recipe,
    teacher: Teacher | None,
    loss: STATLoss | Callable[[int], STATLoss],
    *,
    seed: int = 0,
    device: str = "auto",
    micro_batch: int | None = None,
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
    progress: bool = True,
    label: str = "training",
) -> History:
    """Stage two (Section 3.2): Equation 4 on every batch, with a fixed teacher.

    Processes that Accelerate started together share every batch
    (:mod:`statkit.runtime.distributed`); only the main process writes checkpoints and calls
    ``on_epoch``.

    Args:
        student: it is trained in place and stays on the device.
        source: the student's pixels.
        store: gives labels and clip lengths.
        clips: int64, the training clips.
        teacher: see :mod:`statkit.teacher`; None for stage one.
        loss: Equation 4, or a function of the epoch that returns it (rolling weights). If the
            cross-entropy has weight 0, no label is read (the unlabelled stage, Section 3.3.1).
        seed: seed of the batches; the same seed gives the same batches for every loss.
        micro_batch: largest number of clips on the device at a time, per process; see
            :func:`take_step`. None means the whole batch; if a single process runs out of memory,
            it continues with half as many clips.
        checkpoint: a file written after every epoch; if it exists, training continues from it and
            gives the same weights as without the interruption.
        on_epoch: called with an epoch's number and mean loss parts, first for each epoch in the
            checkpoint, then after each new epoch is saved; its exceptions end the training.

    Returns:
        Mean loss parts per epoch, and the seconds.

    Raises:
        CheckpointError: the checkpoint was made with other settings, or cannot be read.
        FloatingPointError: the loss is no longer a number.
        StatkitError: ``micro_batch`` below 1, or no memory for a single clip.
    """
    if micro_batch is not None and micro_batch < 1:
        raise StatkitError(f"micro_batch is a number of clips from 1, got {micro_batch}")
    place = pick_device(device)
    student.to(place).freeze_batchnorm(recipe.batchnorm).train()
    if not student.temporal:
        student.to(memory_format=torch.channels_last)
    optimizer = new_optimizer(student, recipe)
    loss_of = loss if callable(loss) and not isinstance(loss, STATLoss) else lambda epoch: loss
    key = fingerprint(
        [student.name, asdict(recipe), seed, clips.tolist(), store.fingerprint, source.size]
        + [repr(loss_of(epoch)) for epoch in range(recipe.epochs)]
    )
    history = History()
    if checkpoint and distributed.broadcast_from_main(Path(checkpoint).is_file()):
        history = _resume(Path(checkpoint), key, student, optimizer)
    first = len(history.epochs)
    on_epoch = on_epoch if is_main() else None
    if on_epoch:
        for epoch, means in enumerate(history.epochs):
            on_epoch(epoch, means)
    distributed.broadcast_weights(student)
    store.fill(clips)
    source.keep_on(place)
    labels = torch.from_numpy(store.dataset.labels).to(place)
    batches = math.ceil(len(clips) / recipe.batch_size)
    bar = progress_bar(
        label=label, total=recipe.epochs * batches, initial=first * batches, show=progress
    )
    start = time.perf_counter() - history.seconds
    for epoch in range(first, recipe.epochs):
        equation_4 = loss_of(epoch)
        truth = labels if equation_4.ce else None
        seen: list[Tensor] = []
        draws = list(epoch_batches(student, store, clips, recipe, seed, epoch))
        counts, ahead = [len(draw.clips) for draw in draws], cast(Any, None)
        while len(seen) < len(draws):
            todo = draws[len(seen) :]
            size = min(micro_batch or len(todo[0].clips), len(todo[0].clips))
            ahead = ahead or _gathered_ahead(todo, micro_batch, source, teacher, place)
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * recipe.rate_at(epoch + len(seen) / batches)
            before = _live_statistics(student)
            try:
                batch = islice(ahead, len(_micro_batches(todo[0], micro_batch)))
                parts = take_step(
                    student, source, batch, truth, teacher, equation_4, optimizer, recipe
                )
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if processes() > 1 or size == 1:
                    raise StatkitError(
                        f"{size} clips at a time do not fit into memory; give fewer with "
                        f"micro_batch (--micro-batch): {error}"
                    ) from error
                parts = None
            if parts is None:  # here the error no longer holds the tensors of the failed step
                ahead, micro_batch = ahead.close(), math.ceil(size / 2)
                optimizer.zero_grad(set_to_none=True)
                for buffer, value in before:
                    buffer.copy_(value)
                torch.cuda.empty_cache()  # does nothing where CUDA is not in use
                bar.write(f"out of memory with {size} clips; going on with {micro_batch} at a time")
                continue
            seen.append(torch.stack(parts))
            bar.update()
        # Read once per epoch: each read makes the CPU wait for a GPU.
        table = distributed.sum_over_processes(torch.stack(seen)).tolist()
        means = dict(zip(PARTS, np.average(table, axis=0, weights=counts).tolist(), strict=True))
        if not math.isfinite(means["total"]):
            raise FloatingPointError(f"epoch {epoch + 1}: the loss is {means['total']}; lower rate")
        history.epochs.append(means)
        history.seconds = time.perf_counter() - start
        shown = {name: f"{value:.3f}" for name, value in means.items() if value}
        bar.set_postfix(shown, refresh=False)
        if checkpoint and is_main():
            state: dict[str, Any] = {"key": key, "epoch": epoch + 1, "history": history.epochs}
            state |= {"seconds": history.seconds, "network": student.state_dict()}
            state["optimizer"] = optimizer.state_dict()
            write_atomically(Path(checkpoint), partial(torch.save, state))
        if on_epoch:
            on_epoch(epoch, means)
    bar.close()
    student.eval()
    return history


class MicroBatch(NamedTuple):
    """**Micro-batch**: some clips of a batch, and their share of it (None for the whole batch).
    pixels and targets: results of ``gather`` of the student's source and of the teacher; if None,
    they are gathered when needed."""

    draw: BatchIndex
    share: float | None = None
    pixels: Tensor | None = None
    targets: Any = None


def take_step(
    student: STATNet,
    source: Source,
    batch: Iterable[MicroBatch],
    labels: Tensor | None,
    teacher: Teacher | None,
    loss: STATLoss,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
) -> LossParts:
    """One training step on one batch; it reads no result, because reading waits for the GPU.

    Several micro-batches give the same gradients as the whole batch: Equation 4 is a mean over
    samples, so the sum of the micro-batches' losses, weighted by their shares, is the batch's loss,
    also for unequal sizes. Only normalisation that is not frozen (in the paper's recipe, the first
    layer) differs: it computes its statistics per micro-batch, and its running statistics change
    once per micro-batch.

    Args:
        labels: int64 ``[N]`` of all clips, on the device; None if no label is needed.

    Returns:
        The loss parts of the batch; if several processes share the batch, this process's share.
    """
    place, whole = next(student.parameters()).device, list[Tensor]()
    optimizer.zero_grad(set_to_none=True)
    for draw, share, pixels, targets in batch:
        with (
            autocast(place, recipe.precision, temporal=student.temporal),
            distributed.whole_batch_statistics(student),
        ):
            frames = source.pixels(draw, temporal=student.temporal, device=place, gathered=pixels)
            output = student(frames)
        truth = None if labels is None else labels[torch.from_numpy(draw.clips).to(place)]
        parts = loss(output, truth, teacher(draw, targets) if teacher else None)
        if share is not None:
            parts = LossParts(*(share * part for part in parts))
        parts.total.backward()
        here = [part.detach() for part in parts]
        whole = here if not whole else [a + b for a, b in zip(whole, here, strict=True)]
        del output, frames  # free them before the next micro-batch
    distributed.sum_gradients(student)
    nn.utils.clip_grad_norm_(student.parameters(), recipe.clip_norm)
    optimizer.step()
    return LossParts(*whole)


def _micro_batches(draw: BatchIndex, most: int | None) -> list[MicroBatch]:
    """This process's clips of a batch, at most ``most`` at a time. The number of micro-batches is
    the same on all processes, because the processes compute together."""
    size = len(draw.clips)
    alone = size if size < processes() else size // processes()  # smallest number per process
    count = min(math.ceil(math.ceil(size / processes()) / most), alone) if most else 1
    mine, share = distributed.local_shard(draw)
    if count == 1:
        return [MicroBatch(mine, share)]
    return [
        MicroBatch(
            BatchIndex(*(values[part] for values in mine)), (share or 1) * len(part) / len(mine[0])
        )
        for part in np.array_split(np.arange(len(mine.clips)), count)
    ]


def _gathered_ahead(
    draws: list[BatchIndex], most: int | None, source: Source, teacher: Teacher | None, place
) -> Generator[MicroBatch, None, None]:
    """All micro-batches of these draws with their pixels and targets: a thread gathers the next
    micro-batches while the device computes."""

    def gather(batch: MicroBatch) -> MicroBatch:
        targets = teacher.gather(batch.draw) if teacher else None
        return batch._replace(pixels=source.gather(batch.draw, place), targets=targets)

    parts = (part for draw in draws for part in _micro_batches(draw, most))
    return computed_ahead(gather, parts)


def _live_statistics(network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """The running statistics that training changes, and copies of them."""
    layers = (m for m in network.modules() if isinstance(m, _BatchNorm) and m.training)
    return [(buffer, buffer.clone()) for layer in layers for buffer in layer.buffers()]


def epoch_batches(
    network: STATNet, store: FrameStore, clips: np.ndarray, recipe: Recipe, seed: int, epoch: int
) -> Iterator[BatchIndex]:
    """The batches of one epoch for the network and its recipe."""
    return train_batches(
        clips,
        store.lengths,
        network.segments,
        network.frames_per_segment,
        batch_size=recipe.batch_size,
        views=recipe.views,
        seed=seed,
        epoch=epoch,
        fixed=recipe.fixed,
    )


def new_optimizer(network: STATNet, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer; every group stores its peak learning rate as ``rate``."""
    parts = [([network.stem, network.blocks], recipe.backbone_rate or recipe.rate)]
    if recipe.tam_rate:
        parts += [([network.tam], recipe.tam_rate), ([network.head], recipe.rate)]
    else:  # one group, whose order unfinished checkpoints have
        parts += [([network.tam, network.head], recipe.rate)]
    groups: list[dict[str, Any]] = []
    for modules, rate in parts:
        live = [p for module in modules for p in module.parameters() if p.requires_grad]
        groups.append({"params": [p for p in live if p.ndim > 1], "rate": rate})
        flat = [p for p in live if p.ndim <= 1]
        groups.append({"params": flat, "rate": rate, "weight_decay": 0.0})
    common: dict[str, Any] = {"lr": recipe.rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, **common)
    return torch.optim.AdamW(groups, **common)


def _resume(path: Path, key: str, network: STATNet, optimizer) -> History:
    """Load an unfinished training's state; the epochs that it has done."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored_key, history = state["key"], state["history"]
    except Exception as error:  # torch raises many types of error for a damaged file
        raise CheckpointError(f"{path} is not a readable checkpoint ({error})") from error
    if stored_key != key:
        raise CheckpointError(
            f"{path} was made with other settings, data or seed; delete it or name another file"
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return History(history, state.get("seconds", 0.0))
