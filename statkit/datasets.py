"""A prepared data set, its stored frames, and the pixels of a batch.

Everything above this floor sees one :class:`VideoDataset`, whether the clips are generated, a
folder of one's own, or UCF101.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .cache import cache_folder, fingerprint
from .lowres import PAPER_SIZE, centre_crop, resize, to_low_res
from .progress import progress_bar
from .sampling import Draw, segment_indices
from .video import read_frames
from .views import take_views


class DatasetError(ValueError):
    """A folder that is not a usable data set; the message says what is missing."""


class Split(NamedTuple):
    """int64 clip numbers of one official split."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Truth:
    """What generated clips know of themselves.

    boxes float32 ``[N, T, 4]`` (x0, y0, x1, y1 in pixels), intervals int64 ``[N, 2]`` (first frame
    of the action, one past its last), masks as packed bits; ``mask(i)`` is bool ``[T, H, W]``.
    """

    boxes: np.ndarray
    intervals: np.ndarray
    packed: np.ndarray
    size: tuple[int, int]

    def mask(self, clip: int) -> np.ndarray:
        height, width = self.size
        bits = np.unpackbits(self.packed[clip], axis=-1, count=height * width)
        return bits.reshape(-1, height, width).astype(bool)


@dataclass(frozen=True)
class VideoDataset:
    """Clips with labels and splits.

    Attributes:
        name: for captions.
        root: folder that the clip names are relative to.
        classes: class names; a label is a position in it.
        names: ``Class/clip.ext``, N of them.
        labels, num_frames: int64 ``[N]``.
        splits: official splits by number, from 1.
        generated: whether the clips are computer-generated; figures then say so.
        fingerprint: changes with any clip, label or split.
        truth: where the actor is and when the action, if known.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    num_frames: np.ndarray
    splits: dict[int, Split]
    generated: bool
    fingerprint: str
    truth: Truth | None = None

    def __len__(self) -> int:
        return len(self.names)

    def path(self, clip: int) -> Path:
        return self.root / self.names[clip]

    def split(self, number: int = 1) -> Split:
        """The official split, or DatasetError naming those there are."""
        if number not in self.splits:
            raise DatasetError(f"{self.name} has no split {number}, only {sorted(self.splits)}")
        return self.splits[number]


@dataclass(frozen=True)
class FrameSettings:
    """How stored frames are made: T frames a clip, evenly spaced; the HR size; the LR camera
    (see :func:`statkit.lowres.to_low_res`)."""

    frames_per_clip: int = 16
    hr_size: tuple[int, int] = (72, 96)
    lr_size: tuple[int, int] = PAPER_SIZE
    blur: float = 0.25
    noise: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class FrameStore:
    """Decoded once, read often: uint8 ``[N, T, H, W, 3]`` in HR (memory-mapped) and in LR.

    ``lengths`` int64 ``[N]`` says how many of the T are real; short clips repeat their last.
    ``positions`` int64 ``[N, T]`` are frame numbers in the file.
    """

    dataset: VideoDataset
    settings: FrameSettings
    hr: np.ndarray
    lr: np.ndarray

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.minimum(self.dataset.num_frames, self.settings.frames_per_clip)

    @cached_property
    def positions(self) -> np.ndarray:
        return np.stack([_positions(n, self.settings) for n in self.dataset.num_frames])

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
        self.frames, self.size = frames, tuple(size)

    def pixels(self, draw: Draw, *, temporal: bool, device: torch.device | str = "cpu"):
        """float32 ``[B, K, 3, h, w]``, or ``[B, K, 3, F, h, w]`` for a 3-D network, in 0..1."""
        chosen = self.frames[draw.clips[:, None, None], draw.frames]
        chosen = torch.from_numpy(np.ascontiguousarray(chosen)).to(device)
        views = torch.from_numpy(draw.views).to(device)
        images = take_views(chosen, views, self.size)
        return images if temporal else images[:, :, :, 0]


def store_frames(
    dataset: VideoDataset, settings: FrameSettings | None = None, *, progress: bool = True
) -> FrameStore:
    """Decode and degrade every clip once, or open what an earlier call kept.

    HR and LR show the same field of view: the centred crop at the LR aspect ratio.

    Raises:
        statkit.video.VideoError: a clip that no longer reads.
    """
    settings = settings or FrameSettings()
    settings = _fit(settings, dataset)
    folder = cache_folder("frames") / fingerprint([dataset.fingerprint, asdict(settings)])
    if not folder.is_dir():
        _build_store(dataset, settings, folder, progress)
    hr = np.load(folder / "hr.npy", mmap_mode="r")
    lr = np.load(folder / "lr.npy")
    return FrameStore(dataset, settings, hr, lr)


def _fit(settings: FrameSettings, dataset: VideoDataset) -> FrameSettings:
    """Store no more frames a clip than the longest clip has."""
    frames = min(settings.frames_per_clip, int(dataset.num_frames.max()))
    return FrameSettings(**{**asdict(settings), "frames_per_clip": frames})


def _build_store(dataset, settings, folder: Path, progress: bool) -> None:
    count, length = len(dataset), settings.frames_per_clip
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        hr, lr = (
            np.lib.format.open_memmap(
                work / f"{kind}.npy", "w+", np.uint8, (count, length, *size, 3)
            )
            for kind, size in (("hr", settings.hr_size), ("lr", settings.lr_size))
        )

        def one_clip(clip: int) -> None:
            hr[clip], lr[clip] = _clip_frames(dataset, clip, settings)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = pool.map(one_clip, range(count))
            label = f"frames of {dataset.name}"
            for _ in progress_bar(jobs, label=label, total=count, show=progress):
                pass
        hr.flush()
        lr.flush()
        described = {"dataset": dataset.fingerprint, **asdict(settings)}
        (work / "store.json").write_text(json.dumps(described, indent=1))
        try:
            work.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was first, with the same bytes
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _clip_frames(dataset, clip, settings) -> tuple[np.ndarray, np.ndarray]:
    frames = read_frames(dataset.path(clip), _positions(dataset.num_frames[clip], settings))
    hr = resize(centre_crop(frames, settings.lr_size), settings.hr_size)
    seed = zlib.crc32(f"{settings.seed}/{dataset.names[clip]}".encode())
    lr = to_low_res(frames, settings.lr_size, blur=settings.blur, noise=settings.noise, seed=seed)
    return hr, lr


def _positions(num_frames: int, settings: FrameSettings) -> np.ndarray:
    length = settings.frames_per_clip
    if num_frames <= length:
        return np.minimum(np.arange(length), num_frames - 1)
    return segment_indices(num_frames, length)[:, 0]
