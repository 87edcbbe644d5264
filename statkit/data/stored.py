"""A data set's stored frames, and the pixels of a batch."""

from __future__ import annotations

import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from statkit.runtime.cache import (
    cache_folder,
    fingerprint,
    locked,
    new_array,
    read_cached,
    save_text,
)
from statkit.runtime.processes import cores
from statkit.runtime.progress import progress_bar
from statkit.sampling import BatchIndex
from statkit.video import READING, read_frames
from statkit.views import take_views

from .clips import DatasetError, VideoDataset, load_frames
from .frames import FrameSettings, both_sides, kept_positions, reduced


@dataclass(frozen=True)
class FrameStore:
    """Decoded once, read often: ``hr`` and ``lr`` are uint8 ``[N, T, H, W, 3]``, memory-mapped from
    the files of those names in ``folder`` when they are first asked for. So a student, who sees
    LR frames only, needs no HR frames to be there.

    ``lengths`` int64 ``[N]`` says how many of the T are real; short clips repeat their last.
    ``positions`` int64 ``[N, T]`` are frame numbers in the file.
    """

    dataset: VideoDataset
    settings: FrameSettings
    folder: Path

    @cached_property
    def hr(self) -> np.ndarray:
        return load_frames(self.folder, "hr")

    @cached_property
    def lr(self) -> np.ndarray:
        return load_frames(self.folder, "lr")

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.minimum(self.dataset.num_frames, self.settings.frames_per_clip)

    @cached_property
    def positions(self) -> np.ndarray:
        return np.stack([kept_positions(n, self.settings) for n in self.dataset.num_frames])

    @property
    def fingerprint(self) -> str:
        return fingerprint([self.dataset.fingerprint, asdict(self.settings)])


class Source:
    """One side's pixels: stored frames of one resolution, brought to a network's input size.

    Args:
        frames: uint8 ``[N, T, h, w, 3]``, a store's ``hr`` or ``lr``.
        size: the network's input size; LR frames are enlarged to it (bilinear).
    """

    def __init__(self, frames: np.ndarray, size: tuple[int, int]):
        self.frames = frames
        self.size = (size[0], size[1])

    def pixels(self, draw: BatchIndex, *, temporal: bool, device: torch.device | str = "cpu"):
        """float32 ``[B, K, 3, h, w]``, or ``[B, K, 3, F, h, w]`` for a 3-D network, in 0..1."""
        chosen = self.frames[draw.clips[:, None, None], draw.frames]
        chosen = torch.from_numpy(np.ascontiguousarray(chosen)).to(device)
        images = take_views(chosen, torch.from_numpy(draw.views), self.size)
        return images if temporal else images[:, :, :, 0]


def store_frames(
    dataset: VideoDataset, settings: FrameSettings | None = None, *, progress: bool = True
) -> FrameStore:
    """Decode and degrade every clip once, or open what an earlier call kept.

    The frames of a prepared set are used as they are where they were made as asked, and are
    reduced further, without decoding, where others are asked for; all that it keeps of a clip is
    used, whatever number of frames is asked for.

    Raises:
        DatasetError: a prepared set whose frames are smaller than those asked for.
        statkit.video.VideoError: a clip that no longer reads.
    """
    settings = _fit(settings or FrameSettings(), dataset)
    if dataset.prepared and dataset.prepared.settings == settings:
        return FrameStore(dataset, settings, dataset.prepared.folder)
    reading = [] if dataset.generated else [READING]  # generated clips never gave other frames
    made_of = [dataset.fingerprint, asdict(settings), *reading]
    folder = cache_folder("frames") / fingerprint(made_of)
    if read_cached(folder, partial(_check_store, count=len(dataset), settings=settings)) is None:
        waiting = f"another process stores frames of {dataset.name}; waiting for it"
        with locked(cache_folder("locks") / f"frames-{folder.name}", waiting):
            if not folder.is_dir():
                _build_store(dataset, settings, folder, progress)
    return FrameStore(dataset, settings, folder)


def _check_store(folder: Path, count: int, settings: FrameSettings) -> Path:
    """The folder; DatasetError where a file of it is cut short. HR frames may be gone: students
    need none."""
    for side, size in (("hr", settings.hr_size), ("lr", settings.lr_size)):
        wanted = (count, settings.frames_per_clip, *size, 3)
        if (folder / f"{side}.npy").exists() and load_frames(folder, side).shape != wanted:
            raise DatasetError(f"{side}.npy has other frames")
    return folder


def _fit(settings: FrameSettings, dataset: VideoDataset) -> FrameSettings:
    """Store no more frames a clip than the longest clip has; of a prepared set, those it has."""
    if not dataset.prepared:
        frames = min(settings.frames_per_clip, int(dataset.num_frames.max()))
        return replace(settings, frames_per_clip=frames)
    made = dataset.prepared.settings
    if any(asked > have for asked, have in zip(settings.hr_size, made.hr_size, strict=True)):
        asked, have = ("x".join(map(str, size)) for size in (settings.hr_size, made.hr_size))
        raise DatasetError(
            f"{dataset.name} was prepared at {have}, and {asked} is asked for; "
            f"prepare it again with --hr-size {asked}"
        )
    return replace(settings, frames_per_clip=made.frames_per_clip)


def _build_store(dataset, settings, folder: Path, progress: bool) -> None:
    count, length = len(dataset), settings.frames_per_clip
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        hr, lr = (
            new_array(work / f"{kind}.npy", np.uint8, (count, length, *size, 3))
            for kind, size in (("hr", settings.hr_size), ("lr", settings.lr_size))
        )

        def one_clip(clip: int) -> None:
            hr[clip], lr[clip] = _clip_frames(dataset, clip, settings)

        with ThreadPoolExecutor(cores()) as pool:
            jobs = pool.map(one_clip, range(count))
            label = f"frames of {dataset.name}"
            for _ in progress_bar(jobs, label=label, total=count, show=progress):
                pass
        hr.flush()
        lr.flush()
        described = {"dataset": dataset.fingerprint, **asdict(settings)}
        save_text(work / "store.json", json.dumps(described, indent=1))
        try:
            work.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was first, with the same bytes
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _clip_frames(dataset, clip, settings) -> tuple[np.ndarray, np.ndarray]:
    if dataset.prepared:
        frames = dataset.prepared.hr[clip]
    else:
        frames = read_frames(
            dataset.path(clip),
            kept_positions(dataset.num_frames[clip], settings),
            backend="pyav",
            each=lambda picture: reduced(picture, settings),
        )
    return both_sides(frames, settings, dataset.names[clip])
