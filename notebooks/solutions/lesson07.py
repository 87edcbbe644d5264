"""Solutions of lesson 7."""

import itertools

import numpy as np


def rows_for_head(box: float, frame: int, pixels: float) -> float:
    return 8 * pixels * frame / box


def paired_gain(after: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    difference = after - before
    return difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))


def sign_flip_p(differences):
    observed = sum(differences) - 1e-9
    choices = itertools.product((1, -1), repeat=len(differences))
    return np.mean([np.dot(signs, differences) >= observed for signs in choices])
