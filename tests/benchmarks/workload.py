"""What the comparisons work on: small generated clips for the demo network, clips of UCF101's size
for ResNet-18, and data sets that are as long as one likes and hold nothing."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import torch

from statkit.data.clips import Split, VideoDataset
from statkit.data.frames import FrameSettings
from statkit.data.stored import FrameStore, Source, store_frames
from statkit.experiments import Experiment
from statkit.experiments.targets import CachedTeacher
from statkit.losses import STATLoss
from statkit.models import STATNet, build_model
from statkit.recipes import Recipe
from statkit.runtime.cache import cache_folder, write_atomically
from statkit.sampling import BatchIndex
from statkit.teacher import LiveTeacher, Teacher
from statkit.training import MicroBatch, new_optimizer, take_step

CLASSES, VIEWS = 8, 2
UCF_FRAMES = FrameSettings(hr_size=(112, 149))
UCF_SHAPE = (150, 240, 320, 3)
CE, STAT = STATLoss(1, 0, 0), STATLoss()


@dataclass(frozen=True)
class Workload:
    """The demo's clips and networks (``experiment``), and where the comparisons compute."""

    experiment: Experiment
    folder: Path

    @property
    def device(self) -> torch.device:
        return self.experiment.device

    @cached_property
    def ucf_like(self) -> FrameStore:
        """Stored frames of eight clips of UCF101's size: 150 frames of 240x320."""
        return store_frames(clips_of_ucf_size(8), UCF_FRAMES, progress=False)


def clips_of_ucf_size(count: int) -> VideoDataset:
    """Generated clips of 150 frames of 240x320: a patch that moves over a smooth ground, grain."""
    from statkit.video import write_video

    folder = cache_folder("bench")
    names = tuple(f"{clip}.mp4" for clip in range(count))
    for clip, name in enumerate(names):
        if not (folder / name).is_file():
            frames = _moving_patch(np.random.default_rng(clip))
            write_atomically(folder / name, lambda path, f=frames: write_video(path, f, fps=25))
    numbers = np.arange(count)
    return VideoDataset(
        name="clips of UCF101's size",
        root=folder,
        classes=tuple(f"class {i}" for i in range(CLASSES)),
        names=names,
        labels=numbers % CLASSES,
        num_frames=np.full(count, UCF_SHAPE[0]),
        splits={1: Split(numbers, numbers)},
        generated=True,
        fingerprint=f"bench-clips-1-{count}",
    )


def _moving_patch(rng: np.random.Generator) -> np.ndarray:
    length, height, width, _ = UCF_SHAPE
    coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    frames = np.repeat(ground[None], length, 0)
    for number, frame in enumerate(frames):
        left = round((0.5 + 0.4 * np.sin(number / 12)) * (width - 60))
        frame[90:180, left : left + 60] = coarse[0, 0]
        grain = rng.integers(-3, 4, frame.shape, dtype=np.int8)
        np.copyto(frame, np.clip(frame.astype(np.int16) + grain, 0, 255), casting="unsafe")
    return frames


@dataclass
class Stage:
    """A student in training, as :func:`statkit.training.train_transfer` trains it."""

    student: STATNet
    source: Source
    labels: torch.Tensor
    recipe: Recipe
    optimizer: torch.optim.Optimizer

    @classmethod
    def begin(cls, student, source, store, recipe, device) -> Self:
        student = student.to(device, memory_format=torch.channels_last)
        student.freeze_batchnorm(recipe.batchnorm).train()
        labels = torch.from_numpy(store.dataset.labels).to(device)
        return cls(student, source, labels, recipe, new_optimizer(student, recipe))

    def step(self, draw: BatchIndex, teacher: Teacher | None, loss: STATLoss) -> None:
        """One real step of training."""
        batch, labels = [MicroBatch(draw)], self.labels
        take_step(
            self.student, self.source, batch, labels, teacher, loss, self.optimizer, self.recipe
        )


def new_network(name: str, segments: int, classes: int = CLASSES, *, seed: int, **how) -> STATNet:
    """Untrained: what it costs does not depend on what it knows."""
    torch.manual_seed(seed)
    return build_model(name, classes, segments, **how)


def map_sizes(network: STATNet, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Sizes of a 2-D network's four maps for its input size."""
    training, place = network.training, next(network.parameters()).device
    with torch.no_grad():
        output = network.eval()(torch.zeros(1, network.segments, 3, *size, device=place))
    network.train(training)
    return [tuple(values.shape[-2:]) for values in output.attention_maps]


def simulated_store(folder: Path, clips: int, settings: FrameSettings) -> FrameStore:
    """A store of ``clips`` clips of black frames in sparse files: the shapes are real."""
    length, numbers = settings.frames_per_clip, np.arange(clips)
    dataset = VideoDataset(
        name=f"{clips} simulated clips",
        root=folder,
        classes=tuple(f"class {i}" for i in range(CLASSES)),
        names=tuple(f"{i}" for i in range(clips)),
        labels=numbers % CLASSES,
        num_frames=np.full(clips, length),
        splits={1: Split(numbers, numbers)},
        generated=True,
        fingerprint=f"simulated-{clips}",
    )
    frames = folder / f"frames-{clips}"
    frames.mkdir()
    for side, size in (("hr", settings.hr_size), ("lr", settings.lr_size)):
        _sparse(frames / f"{side}.npy", np.uint8, (clips, length, *size, 3))
    return FrameStore(dataset, settings, frames)


class SimulatedTargets(CachedTeacher):
    """Kept targets of VIEWS views, of the right shapes, that nobody computed; answers with the real
    code."""

    def __init__(self, teacher: LiveTeacher, folder: Path, clips: int, length: int, sizes):
        self.teacher, self.fixed, self.row = teacher, False, np.arange(clips)
        ends = [(teacher.network.tam.features,), *sizes]
        self.features, *self.maps = (
            _sparse(folder / f"target{i}-{clips}.npy", np.float16, (VIEWS, clips, length, *end))
            for i, end in enumerate(ends)
        )


def _sparse(file: Path, kind, shape: tuple[int, ...]) -> np.ndarray:
    np.lib.format.open_memmap(file, "w+", kind, shape).flush()
    return np.load(file, mmap_mode="r")
