"""Video files: the one door through which frames enter the house.

Frames are RGB uint8 arrays ``[T, H, W, 3]`` at the file's own size. Both readers decode from the
start of the file and keep what was asked for: seeking returns wrong frames on files with packed
B-frames, which UCF101 and HMDB51 are made of.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch  # noqa: F401  decord must be loaded after torch

BACKENDS = ("decord", "pyav")


class VideoError(ValueError):
    """A file that cannot be read as video, or a frame that it does not have."""


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: frames that really decode, frames a second, height and width in pixels."""

    num_frames: int
    fps: float
    height: int
    width: int


def probe(path: str | Path) -> VideoInfo:
    """Decode the whole file once and say what came out of it.

    The header's own frame count is not trusted: it can promise frames that are not there.

    Raises:
        VideoError: the file is missing, is not a video, or no frame of it decodes.
    """
    count, first = 0, None
    with _open(path) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        for frame in _decode(container, path):
            first = first or frame
            count += 1
    if first is None:
        raise VideoError(f"{path}: no frame decodes")
    return VideoInfo(count, fps, first.height, first.width)


def read_frames(
    path: str | Path, indices: Sequence[int] | None = None, *, backend: str = "decord"
) -> np.ndarray:
    """Read frames of a video file.

    Args:
        path: the file.
        indices: frame numbers from 0, in any order and with repeats; all frames when None.
        backend: "decord", or "pyav", which gives the same frames. Where decord is not installed
            (it has no build for some machines) PyAV reads instead.

    Returns:
        uint8 ``[T, H, W, 3]``, RGB, native size, in the order of ``indices``.

    Raises:
        VideoError: the file is unreadable, or does not have a frame that was asked for.
        ValueError: unknown backend.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is not one of {BACKENDS}")
    wanted = None if indices is None else [int(i) for i in indices]
    if wanted is not None and (not wanted or min(wanted) < 0):
        raise VideoError(f"{path}: frame numbers start at 0 and one is needed, got {wanted}")
    if backend == "decord" and importlib.util.find_spec("decord"):
        frames = _read_decord(path, wanted)
    else:
        frames = _read_pyav(path, wanted)
    if wanted is None:
        if not frames:
            raise VideoError(f"{path}: no frame decodes")
        return np.stack(list(frames.values()))
    if max(wanted) not in frames:
        raise VideoError(f"{path}: frame {max(wanted)} was asked for, but the file ends before it")
    return np.stack([frames[i] for i in wanted])


def write_video(
    path: str | Path, frames: np.ndarray, *, fps: int = 12, quantiser: int = 18
) -> None:
    """Write uint8 RGB ``[T, H, W, 3]`` (even H and W) as H.264 without B-frames.

    Every reader is exact on such a file. The quantiser is fixed (18: hardly visible), because
    x264's rate control does not give the same bytes each time.
    """
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"H.264 needs an even height and width, got {height}x{width}")
    options = {"qp": str(quantiser), "preset": "veryfast", "bf": "0", "g": "8", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _open(path: str | Path):
    if not Path(path).is_file():
        raise VideoError(f"{path}: no such file")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, UnicodeError) as error:
        raise VideoError(f"{path}: not readable as video ({error})") from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{path}: the file has no video stream")
    return container


def _decode(container, path) -> Iterable[av.VideoFrame]:
    try:
        yield from container.decode(video=0)
    except av.FFmpegError as error:
        raise VideoError(f"{path}: decoding failed ({error})") from error


def _read_pyav(path, wanted) -> dict[int, np.ndarray]:
    keep, last = (None, None) if wanted is None else (set(wanted), max(wanted))
    frames = {}
    with _open(path) as container:
        for index, frame in enumerate(_decode(container, path)):
            if keep is None or index in keep:
                frames[index] = frame.to_ndarray(format="rgb24")
            if index == last:
                break
    return frames


def _read_decord(path, wanted) -> dict[int, np.ndarray]:
    import decord

    with _open(path) as container:  # a clear error, and the packets that are really there
        packets = sum(1 for packet in container.demux(video=0) if packet.size)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        # Beyond the last packet decord repeats the last frame without a word.
        length = min(len(reader), packets)
        end = length if wanted is None else min(length, max(wanted) + 1)
        keep = None if wanted is None else set(wanted)
        frames = {}
        for index in range(end):
            frame = reader.next()
            if keep is None or index in keep:
                frames[index] = frame.asnumpy()
    except (decord.DECORDError, RuntimeError, StopIteration) as error:
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise VideoError(f"{path}: decord cannot read it ({reason[0]})") from error
    return frames
