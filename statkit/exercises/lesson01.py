"""Checks of lesson 1, downsampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def area_average(answer: Callable) -> str:
    """``area_average(frame, factor)``: uint8 ``[H, W, 3]`` -> float ``[H/factor, W/factor, 3]``."""
    frame = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)
    found = answer(frame, 4)
    assert np.shape(found) == (3, 4, 3), f"the shape should be (3, 4, 3), it is {np.shape(found)}"
    corner = frame[:4, :4, 0].mean()
    assert np.allclose(np.asarray(found)[0, 0, 0], corner), (
        f"the first pixel should be the mean of the first 4x4 block, {corner:.2f}, "
        f"it is {np.asarray(found)[0, 0, 0]:.2f}"
    )
    right = frame.reshape(3, 4, 4, 4, 3).mean((1, 3))
    assert np.allclose(found, right), "the first pixel is right, another is not"
    return "Right. With blur and noise off, to_low_res does the same."


def share_kept(answer: Callable) -> str:
    """``share_kept(picture, factor)``: float ``[H, W]`` -> variance kept, from 0 to 1."""
    steps = np.kron(np.arange(12.0).reshape(3, 4), np.ones((4, 4)))
    found = answer(steps, 4)
    assert np.ndim(found) == 0, f"one number is asked for, not an array of shape {np.shape(found)}"
    assert np.isclose(found, 1), (
        f"where every block is of one colour all of the variance is left, not {found:.2f} of it"
    )
    board = np.indices((8, 8)).sum(0) % 2.0
    assert np.isclose(answer(board, 2), 0), (
        f"of a chessboard with squares of one pixel nothing is left, not {answer(board, 2):.2f}"
    )
    picture = np.random.default_rng(2).normal(size=(24, 32)).cumsum(0)
    right = picture.reshape(6, 4, 8, 4).mean((1, 3)).var() / picture.var()
    found = answer(picture, 4)
    assert np.isclose(found, right), (
        f"of one picture {right:.3f} is left, your answer is {found:.3f}"
    )
    return "Right. variance_kept does so for all frames and colours of a clip."


def actor_rows(answer: Callable) -> str:
    """``actor_rows(tall, share, rows)``: heights in LR pixels, degraded and cropped first."""
    found = answer(0.5, 0.5, 12)
    assert np.shape(found) == (2,), f"two numbers are asked for, got {found!r}"
    assert np.isclose(found[0], 6), (
        "an actor of half the frame's height covers 6 of 12 rows when the whole frame is degraded: "
        f"the crop that follows adds no pixels. Your answer is {found[0]:.2f}"
    )
    assert np.isclose(found[1], 12), (
        f"in a crop of half the rows the actor fills all 12 rows; your answer is {found[1]:.2f}"
    )
    assert np.allclose(answer(0.6, 0.75, 24), (14.4, 19.2)), (
        "right for half and half, not for other numbers"
    )
    return "Right. The leak is 1 / share: the smaller the crop, the better the borrowed camera."
