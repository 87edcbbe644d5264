"""Video files: probe, read and write them. Frames are RGB uint8 arrays ``[T, H, W, 3]`` at the
file's own size, upright, in square pixels; each file is decoded from its start."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np

from statkit.errors import StatkitError

from .decoder import VideoDecoder, VideoError, VideoInfo, openable

BACKENDS = ("decord", "pyav")


def probe(
    path: str | Path, *, most: int | None = None, heartbeat: Callable[[], None] | None = None
) -> VideoInfo:
    """Decode the whole file once (:class:`VideoDecoder`) and return its properties; the header can
    count frames that the file does not contain. VideoError if the file is missing, is not a video,
    has no frame that decodes, or has more than ``most`` frames."""
    with VideoDecoder(path, heartbeat) as video:
        for _ in video.frames():
            if most and video.count > most:
                raise VideoError(f"{path}: more than {most} frames; cut out a part of it")
        return video.info()


def read_frames(
    path: str | Path,
    indices: Sequence[int] | None = None,
    *,
    backend: str = "decord",
    each: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> np.ndarray:
    """Read frames of a video file.

    Args:
        indices: frame numbers from 0, in any order and with repeats; all frames when None.
        backend: the decoder, "decord" or "pyav"; the frames are the same, byte for byte. decord
            reads only files that it decodes exactly (:attr:`VideoDecoder.decord_safe`). PyAV reads
            all other files, such as the MPEG-4 AVIs of UCF101 (decord's older decoder rounds up to
            2 grey levels differently there), and every file where decord is not installed. Stored
            frames are always read by PyAV, so that they do not depend on the machine.
        each: applied to every frame as it is decoded, for example to shrink it.

    Returns:
        uint8 ``[T, H, W, 3]``, RGB, native size, upright, in square pixels, in the order of
        ``indices``.

    Raises:
        VideoError: the file is unreadable, or does not have a requested frame.
        ValueError: unknown backend.
    """
    if backend not in BACKENDS:
        raise StatkitError(f"backend {backend!r} is not one of {BACKENDS}")
    wanted = None if indices is None else [int(i) for i in indices]
    if wanted is not None and (not wanted or min(wanted) < 0):
        raise VideoError(f"{path}: frame numbers start at 0 and one is needed, got {wanted}")
    frames = _read_decord(path, wanted) if backend == "decord" else None
    if frames is None:
        frames, each = _read_pyav(path, wanted, each), np.asarray  # already applied
    if wanted is None:
        return np.stack([each(frame) for frame in frames.values()])
    if max(wanted) not in frames:
        raise VideoError(f"{path}: frame {max(wanted)} was asked for, but the file ends before it")
    return np.stack([each(frames[i]) for i in wanted])


def write_video(path: str | Path, frames: np.ndarray, *, fps: int = 12) -> None:
    """Write uint8 RGB ``[T, H, W, 3]`` (even H and W) as H.264 without B-frames, on which every
    reader is exact. The quantiser is fixed (18: hardly visible), because x264's rate control does
    not give the same bytes each time."""
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise StatkitError(f"H.264 needs an even height and width, got {height}x{width}")
    options = {"qp": "18", "preset": "veryfast", "bf": "0", "g": "8", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _read_pyav(path, wanted, each) -> dict[int, np.ndarray]:
    keep, last = (None, None) if wanted is None else (set(wanted), max(wanted))
    frames = {}
    with VideoDecoder(path) as video:
        for index, frame in enumerate(video.frames()):
            if keep is None or index in keep:
                frames[index] = each(video.pixels(frame))
            if index == last:
                break
    return frames


def _read_decord(path, wanted) -> dict[int, np.ndarray] | None:
    """Like ``_read_pyav``; None if PyAV must read the file."""
    if not importlib.util.find_spec("decord"):
        return None
    with VideoDecoder(path) as video:  # a clear error, and the true number of packets
        packets, whole = video.survey()
        if not (whole and video.decord_safe):
            return None
    import torch  # noqa: F401, I001  decord must be loaded after torch
    import decord

    try:
        reader = decord.VideoReader(openable(path), num_threads=1)
        # After the last packet, decord repeats the last frame without an error.
        length = min(len(reader), packets)
        end = length if wanted is None else min(length, max(wanted) + 1)
        keep = None if wanted is None else set(wanted)
        frames = {}
        for index in range(end):
            frame = reader.next()
            if keep is None or index in keep:
                frames[index] = frame.asnumpy()
    except (decord.DECORDError, RuntimeError, StopIteration):
        return None
    # For narrow pictures, decord returns rows with padding, which is not part of the picture.
    right = frames and all(frame.shape[2] == 3 for frame in frames.values())
    return frames if right else None
