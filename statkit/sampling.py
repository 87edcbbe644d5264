"""Which frames of a clip the network sees: K intervals, a few consecutive frames from each
(paper, Section 3.1.2)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


def segment_indices(
    num_frames: int,
    segments: int,
    frames_per_segment: int = 1,
    *,
    rng: np.random.Generator | None = None,
    place: float = 0.5,
) -> np.ndarray:
    """Divide a clip into K equal intervals and draw F consecutive frames from each.

    Args:
        num_frames: frames in the clip.
        segments: K.
        frames_per_segment: F. Where an interval is shorter than F, its frames extend into the
            neighbours; where the whole clip is shorter, the last frame repeats.
        rng: generator that draws the place inside each interval.
        place: without rng, the place inside each interval, from 0 to 1; its centre by default.

    Returns:
        int64 ``[K, F]``, from 0 to ``num_frames - 1``; without rng the starts do not decrease.

    Raises:
        ValueError: an argument below 1.
    """
    if min(num_frames, segments, frames_per_segment) < 1:
        raise ValueError(
            f"all must be at least 1: {num_frames=}, {segments=}, {frames_per_segment=}"
        )
    interval = num_frames / segments
    places = np.full(segments, place) if rng is None else rng.random(segments)
    reach = frames_per_segment - 1
    room = max(interval - reach, 0.0)
    centres = (np.arange(segments) + 0.5) * interval
    starts = np.floor(centres - reach / 2 + (places - 0.5) * room).astype(np.int64)
    starts = np.clip(starts, 0, max(num_frames - frames_per_segment, 0))
    return np.minimum(starts[:, None] + np.arange(frames_per_segment), num_frames - 1)


def fixed_frames(num_frames: int, segments: int, frames_per_segment: int, view: int) -> np.ndarray:
    """int64 ``[K, F]``: the frames of a clip in this view under fixed frame sampling. Another
    view has other places in the intervals."""
    rng = np.random.default_rng(view)
    return segment_indices(num_frames, segments, frames_per_segment, rng=rng)


class BatchIndex(NamedTuple):
    """Which pixels form a batch; teacher and student get the same clips, frames and views.

    clips int64 ``[B]``, frames int64 ``[B, K, F]`` (numbers of stored frames), views int64 ``[B]``
    (rows of :data:`statkit.views.VIEWS`).
    """

    clips: np.ndarray
    frames: np.ndarray
    views: np.ndarray


def train_batches(
    clips: np.ndarray,
    lengths: np.ndarray,
    segments: int,
    frames_per_segment: int,
    *,
    batch_size: int,
    views: int,
    seed: int,
    epoch: int,
    fixed: bool = False,
) -> Iterator[BatchIndex]:
    """One epoch of training: shuffled clips, random frames and views, a function of (seed, epoch)
    only, so that an interrupted run continues with exactly the same batches.

    Args:
        clips: int64, the clips to draw from; each occurs once. A last batch of one clip is dropped
            (batch normalisation cannot learn from one clip).
        lengths: int64 ``[N]``, stored frames of every clip.
        views: the views come from the first ``views`` rows of the view table.
        fixed: each view of a clip has one fixed set of frames (:func:`fixed_frames`).
    """
    shape = segments, frames_per_segment
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(clips)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        if len(batch) == 1 and start:
            return
        if fixed:
            seen = rng.integers(0, views, len(batch))
            frames = [fixed_frames(lengths[i], *shape, v) for i, v in zip(batch, seen, strict=True)]
        else:
            frames = [segment_indices(lengths[i], *shape, rng=rng) for i in batch]
            seen = rng.integers(0, views, len(batch))
        yield BatchIndex(batch, np.stack(frames), seen)


def eval_batches(
    clips: np.ndarray,
    lengths: np.ndarray,
    segments: int,
    frames_per_segment: int,
    *,
    batch_size: int,
    place: float = 0.5,
    view: int = 0,
) -> Iterator[BatchIndex]:
    """Evaluation: every clip once, in order, at one place of each interval (its centre), in one
    view (the whole frame)."""
    shape = segments, frames_per_segment
    for start in range(0, len(clips), batch_size):
        batch = np.asarray(clips[start : start + batch_size])
        frames = [segment_indices(lengths[i], *shape, place=place) for i in batch]
        yield BatchIndex(batch, np.stack(frames), np.full(len(batch), view, np.int64))
