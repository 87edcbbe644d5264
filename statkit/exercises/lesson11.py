"""Checks of lesson 11, when transfer helps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def gap_closed(answer: Callable) -> str:
    """``gap_closed(teacher, student, transfer)``: share of the gap that transfer closes."""
    found = answer(80.0, 40.0, 50.0)
    assert abs(found - 0.25) < 1e-6, f"10 of 40 points are a quarter, not {found}"
    found = answer(60.0, 50.0, 48.0)
    assert abs(found + 0.2) < 1e-6, f"a loss of 2 of 10 points is -0.2, not {found}"
    return "Right. A share says more than points where the gap is small."


def specificity(answer: Callable) -> str:
    """``specificity(maps)``: root mean square distance of unit maps to their scaled mean."""
    same = torch.rand(1, 3, 4).repeat(6, 1, 1) * torch.arange(1, 7.0)[:, None, None]
    found = float(answer(same))
    assert abs(found) < 1e-2, f"maps that differ in brightness alone have 0, not {found:.3f}"
    sides = torch.tensor([[[2.0, 0.0]], [[0.0, 7.0]]])
    found, right = float(answer(sides)), float(np.sqrt(2 - np.sqrt(2)))
    assert abs(found - right) < 1e-3, (
        f"of a map on the left and a map on the right it is {right:.3f}, not {found:.3f}: scale "
        "the mean to length 1, too"
    )
    return "Right. It is 0 if all clips have one map, whatever that map is."


def left_out(answer: Callable) -> str:
    """``left_out(x, y)``: error of each point under a line fitted to all the others."""
    x = np.arange(5.0)
    found = np.asarray(answer(x, 2 * x + 1))
    assert found.shape == (5,), f"one error per point, not {found.shape}"
    assert np.abs(found).max() < 1e-6, "points on one line are missed by 0"
    bent = np.array([0.0, 0, 0, 0, 4])
    found = abs(float(answer(x, bent)[4]))
    assert abs(found - 4) < 1e-6, (
        f"the last of 0, 0, 0, 0, 4 is missed by 4, not {found:.2f}: fit without it"
    )
    return "Right. A point that takes part in the fit pulls the line to itself."
