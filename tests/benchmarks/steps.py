"""(a) A step of stage two against a plain step; (b) the whole of stage two against a loop in which
the teacher looks at every batch anew."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from statkit.data.stored import Source
from statkit.experiments.targets import CachedTeacher
from statkit.losses import STATLoss
from statkit.lowres import centre_crop, resize, to_low_res
from statkit.recipes import RECIPES, Recipe
from statkit.runtime.device import uses_bfloat16
from statkit.sampling import BatchIndex, fixed_frames, segment_indices
from statkit.teacher import LiveTeacher
from statkit.video import read_frames
from statkit.views import VIEWS, take_views

from .measure import Line, compare, paired, peak_rate, take_turns
from .workload import CE, CLASSES, STAT, Stage, Workload, map_sizes, new_network

SEGMENTS, TURNS = 8, 5


def bench_steps(work: Workload) -> Iterator[Line]:
    """(a) One step with kept targets, and with a live teacher, against cross-entropy alone."""
    experiment, recipe = work.experiment, RECIPES["quick"]
    store, classes = experiment.store, len(experiment.dataset.classes)
    source, clips = experiment.source("student"), experiment.split.train[:64]
    teacher = new_network("demo", SEGMENTS, classes, seed=1).to(work.device)
    live = LiveTeacher(teacher, experiment.source("teacher"), precision=recipe.precision)
    student = new_network("demo", SEGMENTS, classes, seed=0)
    sizes = map_sizes(student, source.size)
    kept = CachedTeacher(live, store, clips, views=recipe.views, map_sizes=sizes, progress=False)
    stage = Stage.begin(student, source, store, recipe, work.device)
    draws = _draws(clips, store.lengths, recipe.batch_size, views=recipe.views)
    step = partial(_step_of, stage, draws)
    said = _speed(stage, next(draws), work)
    for name, teacher, goal in (
        ("kept targets", kept, "at most 1.10"),
        ("a live teacher", live, ""),
    ):
        yield from compare(
            f"transfer step with {name}, demo network",
            partial(step, teacher, STAT),
            {"cross-entropy step": partial(step, None, CE)},
            repeats=25,
            warm=2,
            goals={"cross-entropy step": goal},
            detail=said,
        )


def bench_epochs(work: Workload) -> Iterator[Line]:
    """(b) Epochs an hour of the whole of stage two, all that is done once counted in."""
    native = "native 12x16 student"
    for what, size, batch, small, looks, goal in (
        ("112x149 student", (112, 149), 16, False, "all", "at least 2.5"),
        (f"{native}, as it is", (12, 16), 64, False, "all", "at least 10"),
        (f"{native}, small stem", (12, 16), 64, True, "all", "at least 10"),
        (f"{native}, small stem, fixed looks", (12, 16), 64, True, "fixed", "at least 10"),
    ):
        recipe = replace(RECIPES["paper"], frame_sampling=looks)
        yield _whole_stage(work, f"stage two, ResNet-18, {what}", size, batch, small, recipe, goal)


def _whole_stage(
    work: Workload, what: str, size, batch: int, small_stem: bool, recipe: Recipe, goal: str
) -> Line:
    """Times of a batch: a step, a step of the plain loop, and our costs paid once."""
    store, fixed = work.ucf_like, recipe.frame_sampling == "fixed"
    clips = store.dataset.split(1).train
    teacher = new_network("resnet18", SEGMENTS, seed=1).to(work.device)
    source = Source(store.hr, store.settings.hr_size)
    live = LiveTeacher(teacher, source, precision=recipe.precision)
    students = [new_network("resnet18", SEGMENTS, seed=0, small_stem=small_stem) for _ in range(2)]
    options = {"views": recipe.views, "fixed": fixed, "map_sizes": map_sizes(students[0], size)}
    kept = CachedTeacher(live, store, clips, **options, progress=False)
    stage = Stage.begin(students[0], Source(store.lr, size), store, recipe, work.device)
    draws = _draws(clips, store.lengths, batch, views=recipe.views, fixed=fixed)
    plain_teacher = new_network("resnet18", SEGMENTS, seed=1).to(work.device).eval()
    plain_student = students[1].to(work.device).train()
    optimizer = torch.optim.SGD(plain_student.parameters(), lr=1e-3, momentum=0.9)
    looks = _draws(clips, store.lengths, 16, views=recipe.views)
    calls = {
        "ours": partial(_step_of, stage, draws, kept, STAT),
        "plain": partial(
            _plain_step, store, batch, size, plain_teacher, plain_student, optimizer, work.device
        ),
        "look": lambda: live(next(looks)),
        "prepare": lambda: _prepare(store, 0),
    }
    times = take_turns(calls, TURNS)
    # A look above is at K frames of each of 16 clips in one view.
    rounds = recipe.views * (1 if fixed else store.settings.frames_per_clip // SEGMENTS)
    once = (times["look"] / 16 * rounds + times["prepare"]) * batch
    ours = times["ours"] + once / recipe.epochs
    said = (
        f"{recipe.epochs} epochs, {rounds} looks at K frames of a clip; preparing once is "
        f"{100 * np.median(once / recipe.epochs / ours):.0f}% of ours; times of {batch} clips; "
        f"{_speed(stage, next(draws), work)}"
    )
    return paired(what, "plain loop, live teacher", ours, times["plain"], goal=goal, detail=said)


def _plain_step(store, batch, size, teacher, student, optimizer, device) -> None:
    """The obvious loop: decode, resize, augment, ask the teacher, learn, read the loss."""
    from torchvision.transforms.v2 import functional as tv

    rng, high, low = np.random.default_rng(), [], []
    hr_size, lr_size = store.settings.hr_size, store.settings.lr_size
    for clip in range(batch):
        path = store.dataset.path(clip % len(store.dataset))
        indices = segment_indices(int(store.dataset.num_frames[0]), SEGMENTS, rng=rng)[:, 0]
        frames = torch.from_numpy(read_frames(path, indices)).permute(0, 3, 1, 2)
        view = torch.tensor([int(rng.integers(len(VIEWS)))])
        for frames_of, at_first, at_last in ((high, hr_size, hr_size), (low, lr_size, size)):
            seen = tv.resize(frames, list(at_first), antialias=True).permute(0, 2, 3, 1)
            frames_of.append(take_views(seen[None, :, None], view, at_last)[0, :, :, 0])
    with torch.no_grad():
        target = teacher(torch.stack(high).to(device))
    output = student(torch.stack(low).to(device))
    labels = (torch.arange(batch) % CLASSES).to(device)
    parts = STATLoss()(output, labels, target)
    optimizer.zero_grad()
    parts.total.backward()
    optimizer.step()
    parts.total.item()


def _prepare(store, clip: int) -> None:
    settings, dataset = store.settings, store.dataset
    indices = segment_indices(int(dataset.num_frames[clip]), settings.frames_per_clip)[:, 0]
    frames = read_frames(dataset.path(clip), indices)
    resize(centre_crop(frames, settings.lr_size), settings.hr_size)
    to_low_res(frames, settings.lr_size)


def _step_of(stage: Stage, draws: Iterator[BatchIndex], teacher, loss) -> None:
    stage.step(next(draws), teacher, loss)


def _draws(
    clips: np.ndarray, lengths: np.ndarray, batch: int, *, views: int, fixed: bool = False
) -> Iterator[BatchIndex]:
    """Batches for ever, of few clips too."""
    rng = np.random.default_rng(0)
    while True:
        chosen, seen = rng.choice(clips, batch), rng.integers(1, views, batch)
        frames = [
            fixed_frames(lengths[clip], SEGMENTS, 1, view)
            if fixed
            else segment_indices(lengths[clip], SEGMENTS, rng=rng)
            for clip, view in zip(chosen, seen, strict=True)
        ]
        yield BatchIndex(chosen, np.stack(frames), seen)


def _speed(stage: Stage, draw: BatchIndex, work: Workload) -> str:
    """Clips a second of the student's own step, and its share of the device's measured peak."""
    with FlopCounterMode(display=False) as counter:
        stage.step(draw, None, CE)
    times = take_turns({"": partial(stage.step, draw, None, CE)}, repeats=3)[""]
    seconds = float(np.median(times)) / 1000
    half = uses_bfloat16(work.device, stage.recipe.precision)
    peak = peak_rate(work.device, torch.bfloat16 if half else torch.float32)
    rate = counter.get_total_flops() / seconds
    return (
        f"the student alone: {len(draw.clips) / seconds:.0f} clips/s, "
        f"{100 * rate / peak:.0f}% of the measured peak of {peak / 1e12:.2f} TFLOP/s"
    )
