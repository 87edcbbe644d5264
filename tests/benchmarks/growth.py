"""(h) What a clip costs as there are more of them: a step, the whole of stage two, reading; and the
memory of an epoch. The files are in the system's cache at every size: this is the growth of our
work, not the speed of a disk."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from statkit.data.frames import FrameSettings
from statkit.data.stored import FrameStore, Source
from statkit.experiments.runs import student_size
from statkit.experiments.settings import DEMO
from statkit.recipes import RECIPES
from statkit.runtime.cache import cache_folder
from statkit.sampling import BatchIndex, train_batches
from statkit.teacher import LiveTeacher

from .measure import Line, paired, take_turns
from .workload import (
    CE,
    STAT,
    VIEWS,
    SimulatedTargets,
    Stage,
    Workload,
    map_sizes,
    new_network,
    simulated_store,
)

SIZES = (1_000, 10_000, 100_000)
SEGMENTS, STEPS, TURNS = 8, 3, 12


def bench_growth(work: Workload) -> Iterator[Line]:
    """(h) Milliseconds a clip at 10,000 and 100,000 clips over those at 1,000."""
    with tempfile.TemporaryDirectory(dir=cache_folder("bench")) as name:
        folder = Path(name)
        jobs: dict[str, dict[int, Callable]] = {"transfer": {}, "plain": {}, "reading": {}}
        for clips in SIZES:
            store = simulated_store(folder, clips, FrameSettings())
            for job, call in _jobs(store, folder, work).items():
                jobs[job][clips] = call
        before = _own_memory()
        titles = {
            "transfer": "(b) stage two, a clip with its share of an epoch",
            "plain": "(a) cross-entropy step, a clip with its share of an epoch",
            "reading": "(e) 8 HR frames from the store, a clip",
        }
        for job, calls in jobs.items():
            times = take_turns(
                {str(clips): call for clips, call in calls.items()}, repeats=TURNS, warm=2
            )
            for clips in SIZES[1:]:
                more = f"memory of the process grew by {_own_memory() - before:.0f} MB"
                yield paired(
                    f"{titles[job]}, of {clips:,} clips",
                    f"of {SIZES[0]:,} clips",
                    times[str(clips)],
                    times[str(SIZES[0])],
                    goal="at most 1.10",
                    detail=more,
                )


def _jobs(store: FrameStore, folder: Path, work: Workload) -> dict[str, Callable]:
    """Each call does STEPS batches, as an epoch has them."""
    recipe, clips = replace(RECIPES["quick"], views=VIEWS), store.dataset.split(1).train
    teacher = new_network("demo", SEGMENTS, seed=1).to(work.device)
    live = LiveTeacher(teacher, Source(store.hr, store.settings.hr_size))
    student = new_network("demo", SEGMENTS, seed=0)
    sizes = map_sizes(student, student_size(DEMO))
    kept = SimulatedTargets(live, folder, len(clips), store.settings.frames_per_clip, sizes)
    for array in (store.lr, kept.features, *kept.maps):
        _read_once(Path(array.filename))
    source = Source(store.lr, student_size(DEMO))
    stage = Stage.begin(student, source, store, recipe, work.device)
    draws = _epochs(store, clips, recipe)

    def train(teacher, loss):
        for _ in range(STEPS):
            stage.step(next(draws), teacher, loss)

    stored = np.arange(0, store.settings.frames_per_clip, 2)
    some = clips[:: len(clips) // 200]  # as many at every size, so that the disk has no part in it

    def read():
        for clip in some:
            np.array(store.hr[clip][stored])

    return {
        "transfer": lambda: train(kept, STAT),
        "plain": lambda: train(None, CE),
        "reading": read,
    }


def _read_once(file: Path) -> None:
    """Into the system's cache, where the files of a small data set are anyway."""
    with file.open("rb") as stream:
        while stream.read(1 << 24):
            pass


def _epochs(store: FrameStore, clips: np.ndarray, recipe) -> Iterator[BatchIndex]:
    epoch = 0
    while True:
        yield from train_batches(
            clips,
            store.lengths,
            SEGMENTS,
            1,
            batch_size=recipe.batch_size,
            views=recipe.views,
            seed=0,
            epoch=epoch,
        )
        epoch += 1


def _own_memory() -> float:
    """Megabytes that are the process's own, without files that it only maps; 0 where Linux's
    account of it is not to be had."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
    return kilobytes[0] / 1000 if kilobytes else 0.0
