"""Checks of lesson 8, unlabelled video."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def first_of_each(answer: Callable) -> str:
    """``first_of_each(labels, n)``: sorted clip numbers."""
    labels = np.array([2, 0, 0, 1, 2, 0, 2, 1, 2])
    found = answer(labels, 2)
    assert list(found) == [0, 1, 2, 3, 4, 7], f"expected 0 1 2 3 4 7, got {list(found)}"
    assert list(answer(labels, 3)) == [0, 1, 2, 3, 4, 5, 6, 7], "a class may have fewer than n"
    return "Right. The experiment does the same after shuffling by its seed."


def epochs_for_same_steps(answer: Callable) -> str:
    """``epochs_for_same_steps(epochs, all_clips, clips, batch)``."""
    found = answer(20, 1536, 192, 32)
    assert abs(found - 160) < 1e-6, f"20 x 48 steps are 160 epochs of 6 steps, not {found}"
    assert abs(answer(20, 100, 10, 32) - 80) < 1e-6, "an epoch over 10 clips is one (small) step"
    return "Right. Here whole batches make it the ratio of the clips."


def pseudo_labels(answer: Callable) -> str:
    """``pseudo_labels(logits, share)``: the surest clips and the classes that they are given."""
    logits = np.array([[9.0, 8.9, 8.8], [0.0, 3.0, 0.0], [2.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    found = answer(logits, 0.5)
    clips, labels = found
    assert list(clips) == [1, 2], (
        f"clips 1 and 2 are the surest, not {list(clips)}: large logits alone are not sure answers"
    )
    assert list(labels) == [1, 0], f"they are named 1 and 0, not {list(labels)}"
    return "Right. Confident answers may still be wrong: test them on clips with labels."
