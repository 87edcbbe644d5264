"""Checks of lesson 7, resolutions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def rows_on_person(answer: Callable) -> str:
    """``rows_on_person(box, frame, rows)``: LR pixels."""
    found = answer(120, 240, 12)
    assert abs(found - 6) < 1e-6, f"half of the frame's height is 6 of 12 rows, not {found}"
    assert abs(answer(50, 72, 24) - 50 / 3) < 1e-6, "it should hold for any frame and camera"
    return "Right. At 12 rows, a head of an eighth of that is under one pixel."


def paired_gain(answer: Callable) -> str:
    """``paired_gain(after, before)``: mean difference and its standard error."""
    after, before = np.array([50.0, 61.0, 72.0]), np.array([45.0, 59.0, 70.0])
    found = answer(after, before)
    mean, error = found
    assert abs(mean - 3) < 1e-6, f"the mean difference is 3, not {mean}"
    # Differences 5, 2, 2: variance 3 with n - 1, over 3 runs.
    assert abs(error - 1) < 1e-6, f"the standard error is 1, not {error:.3f}: n - 1, then / n"
    return "Right. The 95 % interval is this error times Student's t of n - 1 degrees of freedom."


def sign_flip_p(answer: Callable) -> str:
    """``sign_flip_p(differences)``: share of sign choices that reach the observed sum."""
    found = answer(np.array([1.0, 2.0, 3.0]))
    assert np.isclose(found, 1 / 8), f"of three positive differences it is 1/8, not {found:.3f}"
    found = answer(np.array([0.1, 0.2, -0.3]))
    assert np.isclose(found, 5 / 8), (
        f"of 0.1, 0.2 and -0.3 five of eight choices reach a sum of 0, 0.625, not {found:.3f}"
    )
    return "Right. It needs no assumption about the shape of the differences."
