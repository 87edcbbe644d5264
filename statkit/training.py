"""The two stages (paper, Section 4.2): a single model learns from labels; then a student learns
from labels and from where and when a fixed teacher looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from statkit.errors import StatkitError

from .backbones import MODELS
from .data.stored import FrameStore, Source
from .losses import PARTS, LossParts, STATLoss
from .models import STATNet
from .recipes import Recipe
from .runtime.cache import fingerprint, write_atomically
from .runtime.device import autocast, pick_device
from .runtime.distributed import (
    backward,
    broadcast_from_main,
    broadcast_weights,
    local_shard,
    of_batches,
    whole_batch_statistics,
)
from .runtime.processes import is_main
from .runtime.progress import progress_bar
from .sampling import BatchIndex, train_batches
from .teacher import Teacher


class CheckpointError(StatkitError):
    """A checkpoint that cannot be gone on from; the message says why."""


@dataclass
class History:
    """Mean loss parts of every epoch, by the names in :data:`statkit.losses.PARTS`."""

    epochs: list[dict[str, float]] = field(default_factory=list)


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
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
    progress: bool = True,
    label: str = "training",
) -> History:
    """Stage two (Section 3.2): Equation 4 on every batch, the teacher fixed.

    Processes that Accelerate started together share every batch
    (:mod:`statkit.runtime.distributed`); only
    the main one writes checkpoints and calls ``on_epoch``.

    Args:
        student: trained in place and left on the device.
        source: the pixels it sees.
        store: where labels and clip lengths come from.
        clips: int64, the training clips.
        teacher: see :mod:`statkit.experiments.targets`; None for stage one.
        loss: Equation 4, or a function of the epoch that returns it (rolling weights). Where the
            cross-entropy has no weight no label is read (the unlabelled stage, Section 3.3.1).
        seed: of the draws; the same seed draws the same batches whatever the loss.
        checkpoint: a file written after every epoch; if it is there, training goes on from it to
            the same weights as without the interruption.
        on_epoch: called with its number and mean loss parts for each epoch that the checkpoint
            holds, and after each further one once it is kept; what it raises ends the training.

    Returns:
        Mean loss parts an epoch.

    Raises:
        CheckpointError: the checkpoint was made with other settings, or cannot be read.
        FloatingPointError: the loss is no longer a number.
    """
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
    history, first = History(), 0
    if checkpoint and broadcast_from_main(Path(checkpoint).is_file()):
        first = _resume(Path(checkpoint), key, student, optimizer, history)
    on_epoch = on_epoch if is_main() else None
    if on_epoch:
        for epoch, means in enumerate(history.epochs):
            on_epoch(epoch, means)
    broadcast_weights(student)
    labels = torch.from_numpy(store.dataset.labels).to(place)
    batches = math.ceil(len(clips) / recipe.batch_size)
    bar = progress_bar(
        label=label, total=recipe.epochs * batches, initial=first * batches, show=progress
    )
    for epoch in range(first, recipe.epochs):
        equation_4 = loss_of(epoch)
        seen, counts, shares = [], [], []
        for step, draw in enumerate(_draws(student, store, clips, recipe, seed, epoch)):
            _set_rate(optimizer, recipe.rate_at(epoch + step / batches))
            counts.append(len(draw.clips))
            draw, share = local_shard(draw)
            truth = labels[torch.from_numpy(draw.clips).to(place)] if equation_4.ce else None
            parts = take_step(
                student, source, draw, truth, teacher, equation_4, optimizer, recipe, share
            )
            seen.append(torch.stack([getattr(parts, name).detach() for name in PARTS]))
            shares.append(share)
            bar.update()
        # Read once an epoch: each reading makes the processor wait for a GPU.
        columns = zip(*of_batches(torch.stack(seen), shares).tolist(), strict=True)
        means = {
            name: sum(value * n for value, n in zip(column, counts, strict=True)) / sum(counts)
            for name, column in zip(PARTS, columns, strict=True)
        }
        if not math.isfinite(means["total"]):
            raise FloatingPointError(f"epoch {epoch + 1}: the loss is {means['total']}; lower rate")
        history.epochs.append(means)
        shown = {name: f"{value:.3f}" for name, value in means.items() if value}
        bar.set_postfix(shown, refresh=False)
        if checkpoint and is_main():
            state = {
                "key": key,
                "epoch": epoch + 1,
                "history": history.epochs,
                "network": student.state_dict(),
                "optimizer": optimizer.state_dict(),
            }
            write_atomically(Path(checkpoint), partial(torch.save, state))
        if on_epoch:
            on_epoch(epoch, means)
    bar.close()
    student.eval()
    return history


def take_step(
    student: STATNet,
    source: Source,
    draw: BatchIndex,
    labels: torch.Tensor | None,
    teacher: Teacher | None,
    loss: STATLoss,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    share: float | None = None,
) -> LossParts:
    """One step of training on one draw; no reading of results, for which a GPU would be waited.

    ``share``: of the draw in the step's batch, where several processes take a step together
    (:func:`statkit.runtime.distributed.local_shard`).
    """
    place = next(student.parameters()).device
    with (
        autocast(place, recipe.precision, temporal=student.temporal),
        whole_batch_statistics(student, share),
    ):
        output = student(source.pixels(draw, temporal=student.temporal, device=place))
    parts = loss(output, labels, teacher(draw) if teacher else None)
    optimizer.zero_grad(set_to_none=True)
    backward(parts.total, student, share)
    nn.utils.clip_grad_norm_(student.parameters(), recipe.clip_norm)
    optimizer.step()
    return parts


def _draws(network, store, clips, recipe, seed, epoch) -> Iterator[BatchIndex]:
    return train_batches(
        clips,
        store.lengths,
        network.segments,
        MODELS[network.name].frames_per_segment,
        batch_size=recipe.batch_size,
        views=recipe.views,
        seed=seed,
        epoch=epoch,
        fixed=recipe.frame_sampling == "fixed",
    )


def new_optimizer(network: STATNet, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer; every group knows its peak learning rate as ``rate``."""

    def split(parameters, rate):
        live = [p for p in parameters if p.requires_grad]
        return [
            {"params": [p for p in live if p.ndim > 1], "rate": rate},
            {"params": [p for p in live if p.ndim <= 1], "rate": rate, "weight_decay": 0.0},
        ]

    groups = split(network.backbone_parameters(), recipe.backbone_rate or recipe.rate)
    groups += split(network.head_parameters(), recipe.rate)
    common: dict[str, Any] = {"lr": recipe.rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, **common)
    return torch.optim.AdamW(groups, **common)


def _set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * share


def _resume(path: Path, key: str, network: STATNet, optimizer, history: History) -> int:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored_key, epoch = state["key"], state["epoch"]
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(f"{path} is not a readable checkpoint ({error})") from error
    if stored_key != key:
        raise CheckpointError(
            f"{path} was made with other settings, data or seed; delete it or name another file"
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    history.epochs.extend(state["history"])
    return epoch
