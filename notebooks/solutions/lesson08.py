"""Solutions of lesson 8."""

import math

import numpy as np


def first_of_each(labels: np.ndarray, n: int) -> np.ndarray:
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:n] for c in np.unique(labels)]))


def epochs_for_same_steps(epochs: int, all_clips: int, clips: int, batch: int) -> float:
    return epochs * math.ceil(all_clips / batch) / math.ceil(clips / batch)


def pseudo_labels(logits, share):
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    clips = np.argsort(-chances.max(1), kind="stable")[: round(share * len(logits))]
    return clips, logits[clips].argmax(1)
