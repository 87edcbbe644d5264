"""Read any video file, with size limits, and degrade it to a network's input."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from statkit.lowres import resize
from statkit.runtime.parameters import pasted_path
from statkit.video import VideoError, probe, read_frames

from .frames import FrameSettings, both_sides, kept_positions, reduced

MOST_BYTES = 200_000_000
MOST_FRAMES = 1800  # a minute at 30 frames a second
MOST_PIXELS = 3840 * 2160  # of one frame
TALLEST = 480  # largest height of a stored frame


@dataclass(frozen=True, eq=False)
class OwnClip:
    """A clip that belongs to no data set: whole uint8 ``[T, H, W, 3]``, the stored frames, at most
    ``TALLEST`` rows high; hr, lr: the teacher's and the student's versions; info: about the file.
    """

    name: str
    whole: np.ndarray
    hr: np.ndarray
    lr: np.ndarray
    info: str

    def __str__(self) -> str:
        return self.name


def read_clip(path: str | Path, settings: FrameSettings | None = None) -> OwnClip:
    """Read a video file (:func:`statkit.runtime.parameters.pasted_path`) like a clip of a data set:
    the HR frames are the same bytes. VideoError if it is not readable as video, too large, too
    long, or smaller than the LR camera."""
    settings, path = settings or FrameSettings(), pasted_path(path)
    if os.path.isdir(path):
        raise VideoError(f"{path}: a folder; name one video file in it")
    if not os.path.isfile(path):
        raise VideoError(f"{path}: no such file")
    check_bytes(path.name, path.stat().st_size)
    found = probe(path, most=MOST_FRAMES)
    if found.height * found.width > MOST_PIXELS:
        raise VideoError(
            f"{path.name}: frames of {found.height}x{found.width} pixels are too large here; "
            "make it smaller, 480 rows are plenty"
        )
    positions = kept_positions(found.num_frames, settings)[: found.num_frames]
    frames = read_frames(path, positions, backend="pyav")
    stored = np.stack([reduced(frame, settings) for frame in frames])
    hr, lr = both_sides(stored, settings, path.name)
    rows, columns = frames.shape[1:3]
    if rows > TALLEST:
        size = (TALLEST, max(1, round(columns * TALLEST / rows)))
        frames = np.concatenate([resize(frame[None], size) for frame in frames])
    told = 0 < found.fps < 500  # a browser's video has no rate; its file contains 1000
    seconds = f", {found.num_frames / found.fps:.1f} s" if told else ""
    plural = "s" if found.num_frames > 1 else ""
    info = f"{found.num_frames} frame{plural}{seconds}, {found.height}×{found.width}"
    info += "".join(f"; {words}" for words in (found.remark, found.note) if words)
    return OwnClip(path.name, frames, hr, lr, info)


def read_bytes(
    content: bytes | memoryview, name: str, settings: FrameSettings | None = None
) -> OwnClip:
    """Read an uploaded file, see :func:`read_clip`. The file is deleted after reading."""
    check_bytes(name, len(content))
    with tempfile.TemporaryDirectory(prefix="statkit-") as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        try:
            return read_clip(path, settings)
        except VideoError as error:
            raise VideoError(str(error).replace(f"{folder}/", "")) from error


def noise_clip(settings: FrameSettings, seed: int = 0) -> OwnClip:
    """A clip without content: every pixel of every frame is random."""
    shape = (settings.frames_per_clip, *settings.hr_size, 3)
    frames = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return OwnClip("noise", frames, *both_sides(frames, settings, "noise"), "random pixels")


def check_bytes(name: str, count: int) -> None:
    """Raise VideoError if a file has no bytes or more than ``MOST_BYTES``."""
    if not count:
        raise VideoError(f"{name}: the file is empty (0 bytes)")
    if count > MOST_BYTES:
        raise VideoError(
            f"{name}: {count / 1e6:.0f} MB, and at most {MOST_BYTES / 1e6:.0f} MB are read; "
            "cut out a few seconds"
        )
