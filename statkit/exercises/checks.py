"""Checks that need more than fixed numbers; the other checks are steps in ``checks.toml``."""

from collections.abc import Callable

import numpy as np
import torch

from statkit.analysis.embedding import knn_accuracy, neighbours
from statkit.attention import TemporalAttention
from statkit.losses import sat_loss


def area_average(answer: Callable) -> None:
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


def temporal_weights(answer: Callable) -> None:
    """``temporal_weights(features, w1, b1, w2, b2)`` -> ``[B, K]`` (Figure 3)."""
    torch.manual_seed(3)
    module = TemporalAttention(features=6, segments=4, hidden=5)
    features = torch.randn(3, 4, 6)
    parameters = [values.detach() for values in module.parameters()]
    found = answer(features, *parameters)
    assert tuple(found.shape) == (3, 4), (
        f"a weight for each of 3 clips' 4 frames: (3, 4), not {tuple(found.shape)}"
    )
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


def total_norm(answer: Callable) -> None:
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


def equation_4(answer: Callable) -> None:
    """``equation_4(weights, losses)``: the weighted sum; None where a part has no weight."""
    found = answer([0.5, 0.25, 0.25], [2.0, 1.0, 3.0])
    assert np.isclose(found, 2), f"0.5 x 2 + 0.25 x 1 + 0.25 x 3 is 2, not {found}"
    without = answer([0.0, 0.5, 0.5], [None, 1.0, 3.0])
    assert np.isclose(without, 2), f"without cross-entropy it is 2, not {without}"


def nearest_neighbour_accuracy(answer: Callable) -> None:
    """``nearest_neighbour_accuracy(points, labels)``: ``[N, C]``, ``[N]`` -> share in 0..1."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, 60)
    points = rng.normal(0, 1, (60, 8)) + labels[:, None]
    found = answer(points, labels)
    right = knn_accuracy(neighbours(points, 1), labels) / 100
    assert not np.isclose(found, 1) or right == 1, (
        "a point must not be its own neighbour: put infinity on the diagonal of the distances"
    )
    assert not np.isclose(found, 100 * right), "give a share from 0 to 1, not per cent"
    assert np.isclose(found, right), f"for 60 points it should be {right:.3f}, it is {found:.3f}"


def evenness(answer: Callable) -> None:
    """``evenness(points, area)``: Clark and Evans' ratio, without a correction at the border."""
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), -1).reshape(-1, 2)
    found = answer(grid, 100.0)
    assert np.isclose(found, 2), f"of a square grid of distance 1 it is 2, not {found:.3f}"
    points = np.random.default_rng(6).uniform(size=(60, 2))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(apart, np.inf)
    right = apart.min(1).mean() / (0.5 * np.sqrt(3 / 60))
    found = answer(points, 3.0)
    assert np.isclose(found, right), f"of 60 points on area 3 it is {right:.3f}, not {found:.3f}"


def calibration_error(answer: Callable) -> None:
    """``calibration_error(sure, right, bins)``: the expected calibration error."""
    sure, right = np.array([0.95, 0.95, 0.95, 0.95]), np.array([True, True, True, False])
    found = answer(sure, right, 10)
    assert np.isclose(found, 0.2), f"95 % sure and 75 % right is an error of 0.2, not {found:.3f}"
    draw = np.random.default_rng(9)
    sure = np.append(draw.uniform(size=50), 1.0)
    right = draw.uniform(size=51) < sure
    places = np.minimum((sure * 5).astype(int), 4)
    error = sum(abs((sure - right)[places == bin].sum()) for bin in range(5)) / 51
    found = answer(sure, right, 5)
    assert np.isclose(found, error), f"of 51 answers it is {error:.4f}, not {found:.4f}"


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


def specificity(answer: Callable) -> None:
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


def left_out(answer: Callable) -> None:
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
