"""Checks of lesson 4, attention transfer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from statkit.losses import sat_loss


def map_distance(answer: Callable) -> str:
    """``map_distance(student, teacher)``: Equation 2 for one block."""
    draw = torch.Generator().manual_seed(4)
    student, teacher = torch.rand(2, 5, 3, 4, generator=draw).unbind()
    found = answer(student, teacher)
    right = sat_loss([student], [teacher])
    longer = answer(10 * student, teacher)
    assert torch.allclose(torch.as_tensor(longer), torch.as_tensor(found)), (
        "a map ten times as bright attends to the same places; divide each map by its length first"
    )
    same = float(torch.as_tensor(answer(student, student)))
    assert abs(same) < 1e-5, f"a map is {same:.3f} away from itself"
    close = torch.allclose(torch.as_tensor(found).float(), right, atol=1e-5)
    assert close, f"on five random maps it should be {right:.4f}, it is {float(found):.4f}"
    return "Right. sat_loss does this for every block and weighs the blocks."


def total_norm(answer: Callable) -> str:
    """``total_norm(weights, products)``: length of the gradient of a weighted sum."""
    gradients = np.random.default_rng(4).normal(size=(3, 50))
    weights, products = np.array([0.5, 0.3, 0.2]), gradients @ gradients.T
    found = answer(weights, products)
    right = float(np.linalg.norm(weights @ gradients))
    assert not np.isclose(found, right**2), "this is the square of the length; take its root"
    added = float(weights @ np.sqrt(np.diag(products)))
    assert not np.isclose(found, added), (
        "lengths of vectors do not add; their inner products count as well"
    )
    assert np.isclose(found, right), f"it should be {right:.4f}, it is {found:.4f}"
    return "Right. GradientStats.total_norm is this, and the sliders need no gradient beyond it."


def equation_4(answer: Callable) -> str:
    """``equation_4(weights, losses)``: the weighted sum; None where a part has no weight."""
    found = answer([0.5, 0.25, 0.25], [2.0, 1.0, 3.0])
    assert np.isclose(found, 2), f"0.5 x 2 + 0.25 x 1 + 0.25 x 3 is 2, not {found}"
    without = answer([0.0, 0.5, 0.5], [None, 1.0, 3.0])
    assert np.isclose(without, 2), f"without cross-entropy it is 2, not {without}"
    return "Right. STATLoss is this, with the three losses computed on the way."
