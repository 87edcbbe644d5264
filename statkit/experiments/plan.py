"""Cost of a grid of runs, before any run starts: trainings, shared work, steps, parameters, disk,
device memory, and hours, estimated from a few measured steps."""

import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from statkit.data.clips import Split, VideoDataset
from statkit.data.stored import FrameStore, decode_clip, frame_shapes, stored_frames
from statkit.runtime.cache import cache_folder
from statkit.runtime.device import autocast, memory_of, synchronize
from statkit.runtime.processes import cores
from statkit.runtime.progress import progress_bar
from statkit.sampling import eval_batches
from statkit.teacher import LiveTeacher
from statkit.training import MicroBatch, epoch_batches, new_optimizer, take_step

from .experiment import Experiment
from .grid import Clips, Job, clips_of
from .runs import equation_4, power_of, result_name
from .targets import CachedTeacher, target_shapes

SECONDS = 4.0  # approximate duration of one measurement
TEST_SHARE = 0.4  # test clips per training clip, as in UCF101's splits


def imagined_dataset(
    clips: int, classes: int, *, test: int | None = None, name: str = ""
) -> VideoDataset:
    """A placeholder data set with a given number of training clips and classes."""
    count = clips + (round(TEST_SHARE * clips) if test is None else test)
    split = Split(np.arange(clips), np.arange(clips, count))
    return VideoDataset(
        name=name or f"{clips} training clips of {classes} classes",
        root=Path(),
        classes=tuple(map(str, range(classes))),
        names=tuple(map(str, range(count))),
        labels=np.arange(count) % classes,
        num_frames=np.full(count, 1 << 20),
        splits=dict.fromkeys(range(1, 4), split),
        generated=False,
        fingerprint=f"imagined {name}",
    )


class _BlankStore(FrameStore):
    """Placeholder frames with the right shape, which take no memory."""

    flow = cached_property(lambda self: self.lr)

    def _frames(self, side: str) -> np.ndarray:
        return np.broadcast_to(np.uint8(127), frame_shapes(self.dataset, self.settings)[side])


class _BlankTargets(CachedTeacher):
    """Placeholder cached targets with the right shape; lookup and TAM work as usual."""

    def __init__(self, live: LiveTeacher, store: FrameStore, shapes: dict, fixed: bool):
        self.teacher, self.fixed, self.lengths = live, fixed, store.lengths
        self.row = np.arange(len(store.dataset))
        self.features, *self.maps = (np.broadcast_to(np.float16(0.5), s) for s in shapes.values())


@dataclass(frozen=True)
class Training:
    """One training; seconds are NaN if one clip does not fit into memory; ``memory`` in bytes,
    fixed and per clip."""

    row: str
    title: str
    epochs: int
    steps: int
    parameters: int
    memory: tuple[int, int]
    batch: int
    done: bool
    seconds: float

    def most_clips(self, memory: float) -> float:
        """Number of clips of a batch that fit into four fifths of ``memory`` bytes."""
        fixed, clip = self.memory
        return min(self.batch, (0.8 * memory - fixed) // clip)


def _hours(seconds: float) -> str:
    return "unknown" if math.isnan(seconds) else f"{seconds / 3600:.2f}"


@dataclass(frozen=True)
class Plan:
    """Cost of a grid. ``other``: seconds of the work other than training (teacher's targets,
    evaluation, decoding). ``disk``: bytes by kind of file."""

    trainings: tuple[Training, ...]
    asked: int
    other: dict[str, float]
    disk: dict[str, int]
    device: torch.device

    @property
    def seconds(self) -> float:
        """Seconds of all unfinished work, run in sequence on this device."""
        steps = sum(one.seconds for one in self.trainings if not one.done)
        return steps + sum(self.other.values())

    def warnings(self) -> list[str]:
        """Warnings about too little disk space or memory."""
        found, where = [], cache_folder()
        need, free = sum(self.disk.values()), shutil.disk_usage(where).free
        if need > free:
            found.append(
                f"{need / 1e9:.0f} GB are written, and {where} has {free / 1e9:.0f} GB free: set "
                "STATKIT_CACHE to a folder on a larger disk"
            )
        have = memory_of(self.device) or math.inf
        fits, one = min(((t.most_clips(have), t) for t in self.trainings), key=lambda pair: pair[0])
        if fits < one.batch:
            found.append(
                f"the device has {have / 1e9:.0f} GB, less than a batch takes ({one.title}): "
                + (f"--micro-batch {int(fits)}" if fits > 0 else "not even one clip fits")
            )
        return found

    def text(self) -> str:
        """The plan as text for a terminal."""
        counts = Counter(one.row for one in self.trainings)
        done = Counter(one.row for one in self.trainings if one.done)
        lines = [f"{self.asked} results from {len(self.trainings)} trainings on {self.device}"]
        head = "row", "trainings", "done", "epochs", "steps", "parameters", "memory", "hours"
        lines.append(("{:32s}" + "{:>11s}" * 7).format(*head))
        for row, one in {t.row: t for t in self.trainings}.items():
            hours = sum(t.seconds for t in self.trainings if t.row == row and not t.done)
            memory = (one.memory[0] + one.batch * one.memory[1]) / 1e9
            cells = [str(n) for n in (counts[row], done[row], one.epochs, one.steps)]
            cells += [f"{one.parameters / 1e6:.1f} M", f"{memory:.1f} GB", _hours(hours)]
            lines.append(("{:32s}" + "{:>11s}" * 7).format(one.title, *cells))
        lines += [f"{what}: {_hours(s)} hours" for what, s in self.other.items()]
        lines += [f"{what}: {size / 1e9:.2f} GB on disk" for what, size in self.disk.items()]
        lines.append(f"in all, one after the other: about {_hours(self.seconds)} hours")
        return "\n".join([*lines, *(f"WARNING: {words}" for words in self.warnings())])


def plan_runs(jobs: Sequence[Job], dataset: Clips, **options) -> Plan:
    """The plan of a grid's jobs; the function trains and stores nothing. Options as for
    :class:`statkit.experiments.Experiment`."""
    trainings, seen, rates = {}, set(), {}
    disk, other = Counter(), Counter()
    work = [(job, config) for job in jobs for config in job.settings]
    asked = sum(len(job.rows) for job, _ in work)
    bar = progress_bar(label="measuring steps", total=asked)

    def is_new(*what) -> bool:
        """Whether this was not counted before: rows and runs share it."""
        new = what not in seen
        seen.add(what)
        return new

    for job, config in work:
        one = Experiment(clips_of(job, dataset), config, job.seed, progress=False, **options)
        _without_frames(one)
        if is_new(one.dataset.fingerprint, config.frames):
            _count_frames(one, disk, other)
        for row in job.rows:
            bar.update()
            bar.set_postfix_str(row)
            parts = one.rows[row].fused_rows or (row,)
            looks = (1 + config.choices.flips) * config.choices.offsets
            looks += looks > 1  # the centres are always evaluated
            tested = looks * len(one.split.test) * len(parts)
            if not (cache_folder("runs") / one.run_name(row) / result_name(config)).is_file():
                other["evaluation"] += tested * _once(rates, one, parts[0], _seconds_per_look)
            for name in dict.fromkeys(n for part in parts for n in _needed(one.rows, part)):
                kind, key = one.rows[name], one.run_name(name)
                if key in trainings:
                    continue
                trainings[key] = _training(one, name, rates)
                if kind.input == "flow" and is_new("flow", config.frames):
                    clip = _time(lambda _, store=one.store: store.flow_of(0), 1, one.device)
                    other["optical flow"] += clip / cores() * len(one.dataset)
                    disk["optical flow"] += one.store.lr.nbytes
                if kind.transfers and one.keeps_targets(name):
                    own = power_of(kind, config), *one.map_sizes(name)
                    clips = kind.labelled or one.unlabelled is None
                    if is_new(one.run_name("teacher"), clips, own):
                        _count_targets(one, name, rates, disk, other)
    bar.close()
    return Plan(tuple(trainings.values()), asked, dict(other), dict(disk), one.device)


def _needed(rows, row: str) -> list[str]:
    """All trainings that a row needs, in order: its teacher, the row it starts from, itself."""
    kind = rows[row]
    before = _needed(rows, kind.start) if kind.before(rows) else []
    return (_needed(rows, kind.teacher) if kind.copies_tam else []) + before + [row]


def _without_frames(one: Experiment) -> None:
    """Replace stored frames with blank frames, and the trained teacher with its shapes."""
    one.store = _BlankStore(one.dataset, one.config.frames, Path())
    if one.unlabelled is not None:
        store = _BlankStore(one.unlabelled, one.config.frames, Path())
        one.pool = store, np.arange(len(one.unlabelled))
    with FakeTensorMode():
        one._networks["teacher"] = one.new_network("teacher")


def _count_frames(one: Experiment, disk: Counter, other: Counter) -> None:
    imagined, frames = one.dataset.root == Path(), one.config.frames
    if not imagined and stored_frames(one.dataset, frames) is not None:
        return
    disk["stored frames"] += one.store.hr.nbytes + one.store.lr.nbytes
    if not imagined:
        start, few = time.perf_counter(), range(min(4, len(one.dataset)))
        for clip in few:
            decode_clip(one.dataset, clip, frames)
        spent = (time.perf_counter() - start) / len(few) / cores()
        other["decoding"] += spent * len(one.dataset)


def _count_targets(one: Experiment, row: str, rates: dict, disk: Counter, other: Counter) -> None:
    shapes = _shapes(one, row, len(one.training_clips(row)))
    views, clips, length = shapes["features"][:3]
    disk["teacher's targets"] += 2 * sum(map(math.prod, shapes.values()))
    looks = views * clips * math.ceil(length / one.network("teacher").segments)
    other["teacher's targets"] += looks * _once(rates, one, "teacher", _seconds_per_look)


def _shapes(one: Experiment, row: str, clips: int) -> dict[str, tuple[int, ...]]:
    recipe, teacher, sizes = one.recipe(row), one.network("teacher"), one.map_sizes(row)
    return target_shapes(teacher, one.store, clips, recipe.views, recipe.fixed, sizes)


def _training(one: Experiment, row: str, rates: dict) -> Training:
    kind, recipe, clips = one.rows[row], one.recipe(row), one.training_clips(row)
    parameters, *memory = _once(rates, one, row, step_memory)
    steps = recipe.epochs * math.ceil(len(clips) / recipe.batch_size)
    batch = min(recipe.batch_size, len(clips))
    seconds = steps * batch * _once(rates, one, row, _seconds_per_clip)
    if recipe.start == "probe" and kind.labelled and kind.start is None:
        seconds += len(clips) * _once(rates, one, row, _seconds_per_look)
    done = (cache_folder("runs") / one.run_name(row) / "weights.pt").is_file()
    return Training(
        row, kind.title, recipe.epochs, steps, parameters, tuple(memory), batch, done, seconds
    )


def step_memory(one: Experiment, row: str) -> tuple[int, int, int]:
    """A network's parameters, and the bytes that a step holds, estimated: fixed (weights, gradients
    and optimizer), and per clip (tensors saved for the backward pass, and a live teacher's largest
    layers). Counted on fake tensors, which have no values."""
    kind, recipe, kept = one.rows[row], one.recipe(row), []
    half = recipe.precision if one.device.type != "cuda" else "bfloat16"
    with FakeTensorMode():
        network, sizes = one.new_network(row).train(), {}

        def keep(values: torch.Tensor) -> torch.Tensor:
            storage = values.untyped_storage()
            sizes[storage._cdata] = storage.nbytes()
            return values

        time_axis = (network.frames_per_segment,) if network.temporal else ()
        for clips in (1, 2):  # the difference is the cost of one clip, without weights
            frames = torch.zeros(clips, network.segments, 3, *time_axis, *one.source(row).size)
            sizes.clear()
            with (
                torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values),
                autocast(torch.device("cpu"), half, temporal=network.temporal),
            ):
                output = network(frames)
            kept.append(sum(sizes.values()))
            del output
    clip, parameters = kept[1] - kept[0], sum(p.numel() for p in network.parameters())
    copies = 4 if recipe.optimizer == "adamw" else 3
    if kind.transfers and not one.keeps_targets(row):
        larger = math.prod(one.source("teacher").size) / math.prod(one.source(row).size)
        clip, copies = clip + round(3 * larger * max(sizes.values()) / 2), copies + 1
    return parameters, copies * 4 * parameters, clip


def _once(memo: dict, one: Experiment, row: str, measure: Callable):
    """``measure(one, row)``, once for all rows with the same computation."""
    kind, config = one.rows[row], one.config
    kept = kind.transfers and one.keeps_targets(row)
    same = config.backbone, config.segments, config.frames, one.source(row).size
    key = measure, *same, kind.input == "hr", kind.small_stem, kind.transfers, kept
    if key not in memo:
        memo[key] = measure(one, row)
    return memo[key]


def _seconds_per_clip(one: Experiment, row: str) -> float:
    """Seconds per clip of a training step."""
    recipe, kind, teacher = one.recipe(row), one.rows[row], None
    network = one.new_network(row).to(one.device).freeze_batchnorm(recipe.batchnorm).train()
    if not network.temporal:
        network.to(memory_format=torch.channels_last)
    optimizer, loss = new_optimizer(network, recipe), equation_4(kind, one.config, 0)
    source, labels = one.source(row), torch.from_numpy(one.dataset.labels).to(one.device)
    clips = one.split.train
    if kind.transfers:
        teacher = LiveTeacher(one.new_network("teacher").to(one.device), one.source("teacher"))
        if one.keeps_targets(row):
            shapes = _shapes(one, row, len(one.dataset))
            teacher = _BlankTargets(teacher, one.store, shapes, recipe.fixed)

    def step(count: int) -> None:
        some = replace(recipe, batch_size=max(2, count))
        draw = next(epoch_batches(network, one.store, clips[:count], some, 0, 0))
        batch = [MicroBatch(draw)]
        take_step(network, source, batch, labels, teacher, loss, optimizer, recipe)

    have, (_, fixed, clip) = memory_of(one.device), step_memory(one, row)
    most = min(recipe.batch_size, one.micro_batch or recipe.batch_size, len(clips))
    fits = int((0.6 * have - fixed) // clip) if have else most
    return _time(step, min(most, fits), one.device) if fits > 0 else math.nan


def _seconds_per_look(one: Experiment, row: str) -> float:
    """Seconds per clip of a forward pass on K intervals, in a mirrored view."""
    network, precision = one.new_network(row).to(one.device), one.config.recipe.precision
    forward = LiveTeacher(network, one.source(row), precision=precision)
    shape = network.segments, network.frames_per_segment
    clips, lengths = one.split.train, one.store.lengths

    def look(count: int) -> None:
        forward(next(eval_batches(clips[:count], lengths, *shape, batch_size=count, view=1)))

    return _time(look, min(32, len(clips)), one.device)


def _time(work: Callable[[int], None], most: int, device: torch.device) -> float:
    """Seconds per clip of ``work(clips)`` with ``most`` clips at a time; if this would take too
    long, a linear extrapolation from fewer clips."""

    def spend(count: int) -> float:
        times = []
        while len(times) < 4 and sum(times) < 2 * SECONDS:
            start = time.perf_counter()
            work(count)
            synchronize(device)
            times.append(time.perf_counter() - start)
        return float(np.median(times[1:] or times))  # the first call warms up

    count, spent, before = 1, spend(1), None
    while count < most and spent < SECONDS / 8:
        before, count = (count, spent), min(2 * count, most)
        spent = spend(count)
    if count < most and before:
        slope = max(0.0, spent - before[1]) / (count - before[0])
        spent, count = spent + slope * (most - count), most
    return spent / count
