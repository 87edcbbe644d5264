"""Checks of lesson 6, embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from statkit.analysis.embedding import knn_accuracy, neighbours


def nearest_neighbour_accuracy(answer: Callable) -> str:
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
    return "Right. statkit.analysis.embedding does the same with five neighbours, which vote."


def perplexity_of(answer: Callable) -> str:
    """``perplexity_of(shares)``: float ``[N]`` that sums to 1 -> 2 to the entropy in bits."""
    found = answer(np.full(8, 1 / 8))
    assert np.isclose(found, 8), f"of 8 equal shares the perplexity is 8, not {found:.3f}"
    one = np.array([1.0, 0.0, 0.0])
    alone = answer(one)
    assert np.isfinite(alone), "a share of 0 adds nothing; leave it out before the logarithm"
    assert np.isclose(alone, 1), f"of a single neighbour it is 1, not {alone:.3f}"
    assert np.isclose(answer(np.array([0.5, 0.25, 0.25])), 2**1.5), "the entropy there is 1.5 bits"
    return "Right. So the slider sets how many effective neighbours each point has."


def evenness(answer: Callable) -> str:
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
    return "Right. clark_evans_ratio takes the area of the picture's own outline."
