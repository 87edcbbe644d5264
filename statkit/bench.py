"""Costs compared side by side in one run: each pair takes turns, and ratios are of neighbours, so
that a machine whose speed drifts still gives the same answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from .cache import write_atomically
from .datasets import FrameStore, Source
from .evaluation import Look
from .experiments import Experiment
from .losses import STATLoss
from .lowres import to_low_res
from .models import build_model
from .plots.attention import draw_attention
from .plots.downsampling import draw_downsampling
from .sampling import random_draws, segment_indices
from .targets import KeptTargets, LiveTeacher
from .training import RECIPES
from .video import read_frames
from .widgets import render


@dataclass(frozen=True)
class Comparison:
    """ours over other, as the median of paired ratios with the quartiles; milliseconds of each."""

    what: str
    other: str
    ratio: float
    low: float
    high: float
    ours_ms: float
    other_ms: float


def run_benchmarks(
    experiment: Experiment, only: Sequence[str] | None = None, file: Path | None = None
) -> list[Comparison]:
    """Run the comparisons named in ``only`` (all when None), print them, write them as JSON.

    Args:
        experiment: its clips are what is read and trained on.

    Raises:
        ValueError: an unknown name.
    """
    unknown = sorted(set(only or ()) - set(BENCHMARKS))
    if unknown:
        raise ValueError(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    found = []
    print(
        "| what | compared with | ratio (quartiles) | ours, ms | other, ms |\n|---|---|---|---|---|"
    )
    for name in only or BENCHMARKS:
        for row in BENCHMARKS[name](experiment):
            found.append(row)
            print(
                f"| {row.what} | {row.other} | {row.ratio:.2f} ({row.low:.2f}-{row.high:.2f}) "
                f"| {row.ours_ms:.1f} | {row.other_ms:.1f} |",
                flush=True,
            )
    if file:
        text = json.dumps([asdict(row) for row in found], indent=1)
        print(f"written: {write_atomically(file, lambda path: path.write_text(text))}")
    return found


def compare(
    what: str, ours: Callable, others: dict[str, Callable], repeats: int = 12
) -> list[Comparison]:
    """Time ``ours`` and each of ``others`` in turn, after one unmeasured round."""
    calls = {"": ours, **others}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    mine = np.array(times.pop(""))
    rows = []
    for name, theirs in times.items():
        low, ratio, high = np.percentile(mine / np.array(theirs), [25, 50, 75])
        rows.append(
            Comparison(what, name, ratio, low, high, float(np.median(mine)), np.median(theirs))
        )
    return rows


def bench_step(experiment: Experiment) -> list[Comparison]:
    """One step of stage two against a plain step of the same student."""
    store, recipe = experiment.store, RECIPES["quick"]
    student_source, teacher_source = experiment.source("student"), experiment.source("teacher")
    classes = len(experiment.dataset.classes)
    torch.manual_seed(0)
    student = build_model("demo", classes).to(memory_format=torch.channels_last).train()
    live = LiveTeacher(build_model("demo", classes), teacher_source)
    clips = experiment.split.train[: recipe.batch_size]
    kept = KeptTargets(
        live, store, clips, views=2, map_sizes=_map_sizes(student, student_source), progress=False
    )
    optimizer = torch.optim.AdamW(student.parameters())
    draw = next(random_draws(clips, store.lengths, 8, 1, batch_size=32, views=2, seed=0, epoch=0))
    labels = torch.from_numpy(experiment.dataset.labels[draw.clips])

    def step(teacher, loss):
        output = student(student_source.pixels(draw, temporal=False))
        parts = loss(output, labels, teacher(draw) if teacher else None)
        optimizer.zero_grad()
        parts.total.backward()
        optimizer.step()

    plain = partial(step, None, STATLoss(1, 0, 0))
    return [
        *compare(
            "transfer step, kept targets", partial(step, kept, STATLoss()), {"CE step": plain}
        ),
        *compare(
            "transfer step, live teacher", partial(step, live, STATLoss()), {"CE step": plain}
        ),
    ]


def _map_sizes(student, source: Source) -> list[tuple[int, int]]:
    with torch.no_grad():
        output = student(torch.zeros(2, student.segments, 3, *source.size))
    return [tuple(values.shape[-2:]) for values in output.attention_maps]


def bench_lowres(_experiment) -> list[Comparison]:
    """The low-resolution camera on 16 frames of 240x320."""
    from torchvision.transforms.v2.functional import resize

    frames = np.random.default_rng(0).integers(0, 256, (16, 240, 320, 3), dtype=np.uint8)
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
    others = {"torchvision resize, antialias": lambda: resize(tensor, [12, 16], antialias=True)}
    return [
        *compare(
            "to_low_res, no blur, no noise", partial(to_low_res, frames, blur=0, noise=0), others
        ),
        *compare("to_low_res, blur and noise", partial(to_low_res, frames), others),
    ]


def bench_reading(experiment: Experiment) -> list[Comparison]:
    """K = 8 frames of a clip from the store against decoding them."""
    store: FrameStore = experiment.store
    path, indices = store.dataset.path(0), segment_indices(16, 8)[:, 0]
    others = {
        name: partial(read_frames, path, indices, backend=name) for name in ("decord", "pyav")
    }
    return compare("8 frames from the store", lambda: np.array(store.hr[0][indices]), others)


def bench_widgets(experiment: Experiment) -> list[Comparison]:
    """From slider to picture, in the kernel, against 100 ms."""
    frames = [read_frames(experiment.dataset.path(i)) for i in range(4)]
    rng = np.random.default_rng(0)
    maps = tuple(rng.random((8, h, h)).astype(np.float32) for h in (18, 9, 5, 3))
    look = Look(rng.random((8, 72, 96, 3)).astype(np.float32), maps, rng.random(8) / 8, "Walk", 0.5)
    titles = {"teacher": "Teacher", "student": "Student", "stat": "SAT+TAT"}
    draws = {
        "Figure 1": lambda: draw_downsampling(frames, list("abcd")),
        "Figure 5": lambda: draw_attention(dict.fromkeys(titles, look), titles),
    }
    rows = []
    for name, draw in draws.items():
        others = {"100 ms": lambda: time.sleep(0.1)}
        rows += compare(f"{name}, slider to picture", lambda d=draw: render(d()), others)
    return rows


BENCHMARKS = {
    "step": bench_step,
    "lowres": bench_lowres,
    "reading": bench_reading,
    "widgets": bench_widgets,
}
