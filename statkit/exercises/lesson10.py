"""Checks of lesson 10, motion and two streams."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def late_fusion(answer: Callable) -> str:
    """``late_fusion(rgb, flow, weight)``: weighted mean of probabilities ``[N, classes]``."""
    rgb, flow = np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    found = np.asarray(answer(rgb, flow, 1.0))
    assert found.shape == (2, 2), f"probabilities of 2 clips, [2, 2], not {list(found.shape)}"
    assert np.allclose(found.sum(1), 1), f"probabilities of a clip sum to 1: {found[0]}"
    assert np.allclose(found, [[0.3, 0.7], [0.7, 0.3]]), f"weight 1 is the mean, not {found[0]}"
    found = answer(rgb, flow, 2.0)
    assert np.allclose(found, [[0.2, 0.8], [0.6333333, 0.3666667]]), (
        f"with weight 2 flow counts twice: 0.2 and 0.8 for the first clip, not {found[0]}"
    )
    assert np.allclose(answer(rgb, flow, 0.0), rgb), "weight 0 is the RGB stream alone"
    return "Right. A row with fused_rows does the same, with the choice flow_weight."


def time_steps(answer: Callable) -> str:
    """``time_steps(frames)`` -> the time steps of four blocks."""
    for frames, right in ((4, [4, 2, 1, 1]), (5, [5, 3, 2, 1]), (16, [16, 8, 4, 2])):
        found = list(answer(frames))
        assert found == right, f"of {frames} frames the blocks have {right} steps, not {found}"
    return "Right. The paper's R(2+1)D-18 has 5, 3, 2 and 1."


def movement(answer: Callable) -> str:
    """``movement(before, after)``: one motion for two pictures by least squares."""
    rows, columns = np.mgrid[:24, :32].astype(float)

    def picture(right: float, down: float) -> np.ndarray:
        return np.sin((columns - right) / 4) + np.cos((rows - down) / 3) + 0.01 * columns * rows / 9

    before = picture(0, 0)
    found = np.asarray(answer(before, before), float)
    assert found.shape == (2,), f"two numbers, right and down, not an array {list(found.shape)}"
    assert np.allclose(found, 0, atol=1e-6), f"two equal pictures have no movement, not {found}"
    for step in ((0.4, 0.0), (0.0, -0.3), (0.25, 0.5)):
        found = np.asarray(answer(before, picture(*step)), float)
        assert np.allclose(found, step, atol=0.08), (
            f"pictures that move {step[0]} right and {step[1]} down give {found.round(2)}"
        )
    return "Right. Farneback's method fits such a movement around every pixel."
