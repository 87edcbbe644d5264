"""A process that reads video files, one after the other; its loss does no harm.

:mod:`data_prep.readers` starts it as a script. It takes jobs on its standard input and answers on
its standard output. It imports neither PyTorch nor the data set, so that it starts quickly.

An answer is a length, then a JSON text (:func:`send`), then the pixels of a clip as plain bytes.
An answer cannot make the receiving process run code.
"""

import hashlib
import json
import os
import signal
import struct
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import BinaryIO

import av
import numpy as np

from statkit.data.frames import FrameSettings, both_sides, kept_positions, reduced
from statkit.video import VideoDecoder, VideoError, VideoInfo

BLOCK = 1 << 20
HEARTBEAT_SECONDS = 0.5
LENGTH = struct.Struct("<I")  # precedes a JSON text
MOST_TEXT = 1 << 20  # bytes of a JSON text


def send(file: BinaryIO, message, *arrays: np.ndarray) -> None:
    """Write a message of plain types, then the bytes of the arrays."""
    text = json.dumps(message).encode()
    file.write(LENGTH.pack(len(text)) + text)
    for array in arrays:
        file.write(array.data)
    file.flush()


def receive(file: BinaryIO):
    """Read the next message.

    Raises:
        EOFError: there is no message, or it ends too early.
        ValueError: the message is longer than ``MOST_TEXT``, or not JSON.
    """
    (length,) = LENGTH.unpack(exactly(file, LENGTH.size))
    if length > MOST_TEXT:
        raise ValueError(f"a message of {length} bytes")
    return json.loads(exactly(file, length))


def exactly(file: BinaryIO, count: int) -> bytes:
    """Read ``count`` bytes; EOFError if there are fewer."""
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data


def read_clip(path: str, name: str, settings: FrameSettings, heartbeat: Callable[[], None]) -> dict:
    """Decode a clip once, from beginning to end, and make its stored frames.

    Args:
        heartbeat: called per packet and per block of the file, to show that the process is alive.

    Returns:
        The fields of the manifest that come from the file, and the clip's ``hr`` and ``lr``.

    Raises:
        VideoError: the file is not readable as video, too small, or deleted during reading.
    """
    expected = promised_frames(path, heartbeat)
    info, pictures = _decode(path, heartbeat, expected, settings)
    if info.num_frames != expected:  # the header was wrong; now the true number is known
        info, pictures = _decode(path, heartbeat, info.num_frames, settings)
    positions = kept_positions(info.num_frames, settings)
    hr, lr = both_sides(np.stack([pictures[i] for i in positions]), settings, name)
    found = {"frames": info.num_frames, "fps": round(info.fps, 3)}
    found |= {"height": info.height, "width": info.width}
    found |= {"note": info.note, "remark": info.remark}
    try:
        found |= {"bytes": os.stat(path).st_size, "sha256": _sha256(path, heartbeat)}
    except OSError as error:
        raise VideoError(f"{path}: {error.strerror}") from error
    found |= {"pixels": f"{zlib.crc32(lr, zlib.crc32(hr)):08x}"}
    return found | {"hr": hr, "lr": lr}


def promised_frames(path: str, heartbeat: Callable[[], None]) -> int:
    """The number of frames in the header; if it is missing, the packets in the file."""
    with VideoDecoder(path, heartbeat) as video:
        return video.promised or video.survey()[0]


def _decode(
    path: str,
    heartbeat: Callable[[], None],
    expected: int = 0,
    settings: FrameSettings | None = None,
) -> tuple[VideoInfo, dict[int, np.ndarray]]:
    """Decode to the end; keep the frames to store for a clip of ``expected`` frames.

    Returns:
        The properties of the clip, with the decoder's first error as the note if there is no other;
        uint8 [H, W, 3] by frame number.
    """
    wanted = set(kept_positions(max(expected, 1), settings).tolist() if settings else ())
    pictures = {}
    with av.logging.Capture() as messages, VideoDecoder(path, heartbeat) as video:
        for number, frame in enumerate(video.frames()):
            if number in wanted:
                pictures[number] = reduced(video.pixels(frame), settings)
        info = video.info()
    damage = [
        text.strip()
        for level, _, text in messages
        if level <= av.logging.ERROR or "misdetection" in text
    ]
    if damage and not info.note:
        info = replace(info, note=f"the decoder reports: {damage[0]}")
    return info, pictures


def _sha256(path: str, heartbeat: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            heartbeat()
    return digest.hexdigest()


JOBS = {
    "promise": promised_frames,
    "count": lambda path, heartbeat: _decode(path, heartbeat)[0].num_frames,
    "probe": lambda path, heartbeat: asdict(_decode(path, heartbeat)[0]),
}


def serve() -> None:
    """Answer jobs ``[what, path, name, settings]`` until the input ends: ``["done", result]``,
    followed by the HR and LR frames if the job is "read"; ``["failed", reason]`` for a file
    that cannot be read; ``["fault", {"error", "traceback"}]`` for an error of this program; and
    ``["alive", null]`` at intervals."""
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # the output of libraries must not mix with answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    import cv2  # the process that imports this module for its messages needs no cv2

    cv2.setNumThreads(1)
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)
    last = time.monotonic()

    def heartbeat() -> None:
        nonlocal last
        if time.monotonic() - last > HEARTBEAT_SECONDS:
            last = time.monotonic()
            send(answers, ["alive", None])

    send(answers, ["ready", None])
    os.dup2(nowhere, 2)
    with suppress(EOFError, BrokenPipeError):
        while True:
            send(answers, *_answer(receive(jobs), heartbeat))


def _answer(job: list, heartbeat: Callable[[], None]) -> list:
    """The answer to a job: a message, and the arrays after it."""
    what, path, *rest = job
    try:
        if what != "read":
            return [["done", JOBS[what](path, heartbeat)]]
        name, settings = rest
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        result = read_clip(path, name, FrameSettings(**settings), heartbeat)
        arrays = result.pop("hr"), result.pop("lr")
        return [["done", result], *arrays]
    except BrokenPipeError:
        raise
    except VideoError as error:
        reason = str(error)
        for name in (path, *rest[:1]):
            reason = reason.removeprefix(f"{name}: ")
        return [["failed", reason]]
    except MemoryError:
        return [["failed", "reading it needs more memory than there is"]]
    except Exception as error:  # a fault of this program, not of the file
        told = {"error": f"{type(error).__name__}: {error}"[:1000]}
        return [["fault", told | {"traceback": traceback.format_exc()[-50_000:]}]]


if __name__ == "__main__":
    serve()
