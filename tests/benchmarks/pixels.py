"""(k) How long a device waits for pixels: an epoch at UCF101's shapes, whose steps have a set
length and whose batches are gathered ahead by a thread, against its steps alone."""

import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from statkit.data.frames import FrameSettings
from statkit.data.stored import Source
from statkit.experiments.presets import PAPER_HR
from statkit.sampling import train_batches
from statkit.teacher import LiveTeacher
from statkit.training import _gathered_ahead

from .measure import Line, compare, take_turns
from .workload import UCF_FRAMES, Workload, new_network, simulated_store

SEGMENTS = 8
# Size, training clips, batch and rounds: UCF101's epoch of 38 batches, at the size of real clips
# here (steps of some milliseconds, of which the thread's own delays are a part), and at the
# paper's, 20 GB of frames per epoch (about 8 minutes).
SHAPES = (
    (UCF_FRAMES.hr_size, 9537, 256, 3),
    (PAPER_HR, 9537, 256, 1),
)


def bench_pixels(work: Workload) -> Iterator[Line]:
    """Frames of a student and of a live teacher; the step is as long as gathering takes."""
    for size, clips, batch, repeats in SHAPES:
        yield from _epochs(work, replace(UCF_FRAMES, hr_size=size), clips, batch, repeats)


def _epochs(
    work: Workload, settings: FrameSettings, clips: int, batch_size: int, repeats: int
) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        store = simulated_store(Path(folder), clips, settings)
        source = Source(store.lr, settings.hr_size)
        hr, device = Source(store.hr, settings.hr_size), work.device
        teacher = LiveTeacher(new_network("resnet18", SEGMENTS, seed=0).to(device), hr)
        how = {"batch_size": batch_size, "views": 10, "seed": 0, "epoch": 0}
        draws = list(train_batches(np.arange(clips), store.lengths, SEGMENTS, 1, **how))

        def gather(draw) -> None:
            source.gather(draw, device)
            teacher.gather(draw)

        def between() -> Iterator[None]:
            return map(gather, draws)

        def ahead() -> Iterable:
            return _gathered_ahead(draws, None, source, teacher, device)

        def epoch(batches) -> None:
            for _ in batches():
                time.sleep(step)

        alone = take_turns({"": lambda: list(between())}, repeats)[""]
        step = float(np.max(alone)) / 1000 / len(draws)
        yield from compare(
            "epoch with batches gathered ahead",
            partial(epoch, ahead),
            {
                "its steps alone": lambda: [time.sleep(step) for _ in draws],
                "gathered between the steps": partial(epoch, between),
            },
            repeats=repeats,
            goals={"its steps alone": "at most 1.05"},
            detail=f"{len(draws)} batches of {batch_size} clips, {SEGMENTS} frames of "
            f"{settings.hr_size[0]}x{settings.hr_size[1]}, a step of {1000 * step:.0f} ms",
        )
