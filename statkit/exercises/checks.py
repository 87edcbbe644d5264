"""Checks that need more than fixed numbers; the other checks are steps in ``checks.toml``."""

from collections.abc import Callable

import numpy as np
import torch

from statkit.attention import TemporalAttention
from statkit.losses import sat_loss


def temporal_weights(answer: Callable) -> None:
    """``temporal_weights(features, w1, b1, w2, b2)`` -> ``[B, K]`` (Figure 3)."""
    torch.manual_seed(3)
    module = TemporalAttention(features=6, segments=4, hidden=5)
    features = torch.randn(3, 4, 6)
    parameters = [values.detach() for values in module.parameters()]
    found = answer(features, *parameters)
    shape = tuple(found.shape)
    assert shape == (3, 4), f"a weight for each of 3 clips' 4 frames: (3, 4), not {shape}"
    total = found.sum(1)
    assert torch.allclose(total, torch.ones(3)), f"a clip's weights sum to 1, not {total[0]:.3f}"
    right = module(features).weights.detach()
    assert torch.allclose(found, right, atol=1e-5), (
        "shape and sum are right, the weights are not. Between the layers is a ReLU, "
        "and the softmax is over the K frames"
    )


def map_distance(answer: Callable) -> None:
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


def equation_4(answer: Callable) -> None:
    """``equation_4(weights, losses)``: the weighted sum; None where a part has no weight."""
    found = answer([0.5, 0.25, 0.25], [2.0, 1.0, 3.0])
    assert np.isclose(found, 2), f"0.5 x 2 + 0.25 x 1 + 0.25 x 3 is 2, not {found}"
    without = answer([0.0, 0.5, 0.5], [None, 1.0, 3.0])
    assert np.isclose(without, 2), f"without cross-entropy it is 2, not {without}"


def movement(answer: Callable) -> None:
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


def left_out(answer: Callable) -> None:
    """``left_out(x, y)``: error of each point under a line fitted to all the others."""
    x = np.arange(5.0)
    found = np.asarray(answer(x, 2 * x + 1))
    assert found.shape == (5,), f"one error per point, not {found.shape}"
    assert np.abs(found).max() < 1e-6, "points on one line are missed by 0"
    bent = np.array([0.0, 0, 0, 0, 4])
    last = abs(float(answer(x, bent)[4]))
    told = f"the last of 0, 0, 0, 0, 4 is missed by 4, not {last:.2f}: fit without it"
    assert abs(last - 4) < 1e-6, told
