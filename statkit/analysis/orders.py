"""Other orders of a clip's frames: what a network would be shown, as numbers of intervals.

An order is int64 ``[N, K]``: at place k of clip n, the frame that was filmed in interval
``order[n, k]``. A 2-D network sees each frame alone, so the features of a clip in another order are
its features in that order, and nothing needs to be computed again.
"""

from __future__ import annotations

import numpy as np


def as_filmed(clips: int, segments: int) -> np.ndarray:
    """Every frame where it was."""
    return np.tile(np.arange(segments), (clips, 1))


def backwards(clips: int, segments: int) -> np.ndarray:
    """The last frame first."""
    return as_filmed(clips, segments)[:, ::-1].copy()


def shuffled(clips: int, segments: int, seed: int = 0) -> np.ndarray:
    """An order of its own for each clip."""
    return np.random.default_rng(seed).permuted(as_filmed(clips, segments), axis=1)


def without_action(inside: np.ndarray) -> np.ndarray:
    """In place of each frame of the action the nearest that shows none of it (of two, the earlier).

    Args:
        inside: bool ``[N, K]``, which intervals lie in the true action. A clip that has no other
            frame stays as it was filmed.
    """
    places = np.arange(inside.shape[1])
    distance = np.abs(places[:, None] - places) + len(places) * inside[:, None, :]
    return np.where(inside.all(1, keepdims=True), places, distance.argmin(-1))


def frozen(inside: np.ndarray) -> np.ndarray:
    """The first frame outside the action at every place: nothing is left to tell places apart."""
    return np.repeat((~inside).argmax(1)[:, None], inside.shape[1], axis=1)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much of two attentions ``[N, K]``, each summing to 1, is the same: 0 to 1, ``[N]``."""
    return np.minimum(first, second).sum(1)
