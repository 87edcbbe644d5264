"""A data set: clips with labels and splits, from generated clips, an own folder, or UCF101. This
module does not need PyTorch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from statkit.errors import StatkitError

from .frames import FrameSettings


class DatasetError(StatkitError):
    """A folder that is not a usable data set; the message names the missing part."""


class Split(NamedTuple):
    """int64 clip numbers of one official split."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Truth:
    """The ground truth of generated clips: boxes float32 ``[N, T, 4]`` (x0, y0, x1, y1 in pixels),
    intervals int64 ``[N, 2]`` (first frame of the action, last frame + 1), masks as packed bits
    (``mask(i)`` is bool ``[T, H, W]``), digests the SHA-256 of each file as it was made (empty: not
    known)."""

    boxes: np.ndarray
    intervals: np.ndarray
    packed: np.ndarray
    size: tuple[int, int]
    digests: tuple[str, ...] = ()

    def mask(self, clip: int) -> np.ndarray:
        height, width = self.size
        bits = np.unpackbits(self.packed[clip], axis=-1, count=height * width)
        return bits.reshape(-1, height, width).astype(bool)


@dataclass(frozen=True)
class Prepared:
    """The frames of a prepared set: ``folder`` holds ``hr.npy`` and ``lr.npy``, made with
    ``settings``, one row per clip."""

    folder: Path
    settings: FrameSettings

    @cached_property
    def hr(self) -> np.ndarray:
        return load_frames(self.folder, "hr")


@dataclass(frozen=True)
class VideoDataset:
    """Clips with labels and splits.

    Attributes:
        name: for captions.
        root: folder of the clips; the clip names are relative to it.
        classes: class names; a label is an index into it.
        names: ``Class/clip.ext``, N of them.
        labels, num_frames: int64 ``[N]``.
        splits: official splits by number, from 1.
        generated: whether the clips are computer-generated; figures then state it.
        fingerprint: changes with any clip, label or split.
        truth: the place of the actor and the time of the action, if known.
        prepared: the frames, if they were made beforehand.
        draw: makes the files of clips, by name, that are missing; None where all files exist.
        digests: SHA-256 of each file when the set was opened; empty where it is not known.
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
    prepared: Prepared | None = None
    draw: Callable[[list[str]], None] | None = None
    digests: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def path(self, clip: int) -> Path:
        self.require([clip])
        return self.root / self.names[clip]

    def require(self, clips: Iterable[int]) -> None:
        """Draw the files of these clips, if they are generated on demand and missing."""
        if self.draw:
            self.draw([self.names[clip] for clip in clips])

    def split(self, number: int = 1) -> Split:
        """The official split; otherwise a DatasetError that lists the existing splits."""
        if number not in self.splits:
            raise DatasetError(f"{self.name} has no split {number}, only {sorted(self.splits)}")
        return self.splits[number]


def load_frames(folder: Path, side: str) -> np.ndarray:
    """uint8 ``[N, T, H, W, 3]``, memory-mapped: the "hr" or "lr" frames of a folder; DatasetError
    if the file is missing or incomplete."""
    file = folder / f"{side}.npy"
    if not file.is_file():
        raise DatasetError(
            f"the {side.upper()} frames are asked for, and {file} is not there: put it back, or "
            f"delete {folder} and run the same command (or statkit prepare) to make it again"
        )
    try:
        return np.load(file, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise DatasetError(f"{file} is cut short or no file of frames ({error})") from error
