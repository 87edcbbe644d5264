"""A process that reads video files, one after the other, and can be lost without harm.

It is started as a script by :mod:`data_prep.readers`, takes jobs on its standard input and answers
on its standard output, and knows neither PyTorch nor the data set, so that it starts quickly.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

import av
import cv2
import numpy as np

from statkit.data.frames import FrameSettings, both_sides, kept_positions
from statkit.lowres import centre_crop, resize
from statkit.video import VideoDecoder, VideoError, probe

BLOCK = 1 << 20
LARGE = (480, 640)  # larger frames are brought to this, or to four times the HR size, at once
BEAT_SECONDS = 0.5


def read_clip(path: str, name: str, settings: FrameSettings, heartbeat: Callable[[], None]) -> dict:
    """Decode a clip once, from beginning to end, and make its stored frames on the way.

    Args:
        heartbeat: called at every packet and every block of the file, as a sign of life.

    Returns:
        The clip's line of the manifest as far as the file tells it, and its ``hr`` and ``lr``.

    Raises:
        VideoError: not readable as video, or too small.
    """
    expected = promised_frames(path, heartbeat)
    info, shots, damage = _watch(path, expected, settings, heartbeat)
    if info.num_frames != expected:  # the header was wrong: now the number is known
        info, shots, damage = _watch(path, info.num_frames, settings, heartbeat)
    positions = kept_positions(info.num_frames, settings)
    try:
        hr, lr = both_sides(np.stack([shots[i] for i in positions]), settings, name)
    except ValueError as error:
        raise VideoError(f"{path}: {error}") from error
    found = {"frames": info.num_frames, "fps": round(info.fps, 3)}
    found |= {"height": info.height, "width": info.width, "note": info.note or damage}
    found |= {"bytes": os.stat(path).st_size, "sha256": _sha256(path, heartbeat)}
    found |= {"pixels": f"{zlib.crc32(lr, zlib.crc32(hr)):08x}"}
    return found | {"hr": hr, "lr": lr}


def promised_frames(path: str, heartbeat: Callable[[], None]) -> int:
    """What the header promises; where it makes no promise, the packets in the file."""
    with VideoDecoder(path, heartbeat) as film:
        return film.promised or film.survey()[0]


def _watch(path: str, expected: int, settings: FrameSettings, heartbeat: Callable[[], None]):
    """Decode to the end; keep the frames that are stored of a clip of ``expected`` frames.

    Returns:
        The clip's VideoInfo, uint8 [H, W, 3] by frame number, and what the decoder complained of.
    """
    wanted = set(kept_positions(max(expected, 1), settings).tolist())
    largest = tuple(
        max(large, 4 * size) for large, size in zip(LARGE, settings.hr_size, strict=True)
    )
    shots = {}
    with av.logging.Capture() as complaints, VideoDecoder(path, heartbeat) as film:
        for number, frame in enumerate(film.frames()):
            if number in wanted:
                shots[number] = _at_most(film.pixels(frame), largest, settings)
        info = film.info()
    damage = [
        text.strip()
        for level, _, text in complaints
        if level <= av.logging.ERROR or "misdetection" in text
    ]
    return info, shots, f"the decoder complains: {damage[0]}" if damage else ""


def _at_most(picture: np.ndarray, largest: tuple[int, int], settings) -> np.ndarray:
    """A large picture cropped and reduced right away, so that 32 of them fit into memory."""
    if picture.shape[0] <= largest[0] or picture.shape[1] <= largest[1]:
        return picture
    cropped = centre_crop(picture, settings.lr_size)
    scale = max(size / have for size, have in zip(largest, cropped.shape, strict=False))
    if scale >= 1:
        return picture
    size = tuple(max(1, round(n * scale)) for n in cropped.shape[:2])
    return resize(cropped[None], size)[0]


def _sha256(path: str, heartbeat: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            heartbeat()
    return digest.hexdigest()


JOBS = {
    "promise": promised_frames,
    "count": lambda path, heartbeat: probe(path, heartbeat=heartbeat).num_frames,
    "probe": lambda path, heartbeat: asdict(probe(path, heartbeat=heartbeat)),
}


def serve() -> None:
    """Answer jobs ``(what, path, name, settings)`` until the input ends: ("done", result),
    ("failed", reason), and now and then ("alive", None)."""
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to decide
    cv2.setNumThreads(1)
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)

    def answer(kind: str, value=None) -> None:
        pickle.dump((kind, value), answers, protocol=5)
        answers.flush()

    last = time.monotonic()

    def heartbeat() -> None:
        nonlocal last
        if time.monotonic() - last > BEAT_SECONDS:
            last = time.monotonic()
            answer("alive")

    answer("ready")
    with suppress(EOFError, BrokenPipeError):
        while True:
            what, path, *rest = pickle.load(jobs)
            try:
                if what == "read":
                    name, settings = rest
                    result = read_clip(path, name, FrameSettings(**settings), heartbeat)
                else:
                    result = JOBS[what](path, heartbeat)
            except (VideoError, MemoryError, OSError) as error:
                answer("failed", str(error).removeprefix(f"{path}: ") or "not enough memory")
            else:
                answer("done", result)


if __name__ == "__main__":
    serve()
