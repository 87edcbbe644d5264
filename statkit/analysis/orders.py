"""Other orders of a clip's frames as a network's input, as numbers of intervals.

An **order** is int64 ``[N, K]``: at place k of clip n, the frame that was filmed in interval
``order[n, k]``. A 2-D network processes each frame alone, so another order only permutes the
features, and they need not be computed again.
"""

import numpy as np


def as_filmed(clips: int, segments: int) -> np.ndarray:
    """Every frame at its own place."""
    return np.tile(np.arange(segments), (clips, 1))


def backwards(clips: int, segments: int) -> np.ndarray:
    """The last frame first."""
    return as_filmed(clips, segments)[:, ::-1].copy()


def shuffled(clips: int, segments: int, seed: int = 0) -> np.ndarray:
    """A separate random order for each clip."""
    return np.random.default_rng(seed).permuted(as_filmed(clips, segments), axis=1)


def without_action(inside: np.ndarray) -> np.ndarray:
    """Replace each frame of the action, bool ``[N, K]``, by the nearest frame outside it (on a tie,
    the earlier). A clip without another frame does not change."""
    places = np.arange(inside.shape[1])
    distance = np.abs(places[:, None] - places) + len(places) * inside[:, None, :]
    return np.where(inside.all(1, keepdims=True), places, distance.argmin(-1))


def frozen(inside: np.ndarray) -> np.ndarray:
    """The first frame outside the action at every place, so that all places are equal."""
    return np.repeat((~inside).argmax(1)[:, None], inside.shape[1], axis=1)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The common part of two attentions ``[N, K]``, each with sum 1: 0 to 1, ``[N]``."""
    return np.minimum(first, second).sum(1)
