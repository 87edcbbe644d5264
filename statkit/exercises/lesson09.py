"""Checks of lesson 9, a clip of one's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from statkit.evaluation import best_answers


def best_classes(answer: Callable) -> str:
    """``best_classes(logits, count)``: float ``[classes]`` -> labels and their probabilities."""
    logits = np.array([1.0, 3.0, -2.0, 2.0])
    found = answer(logits, 2)
    labels, shares = (np.asarray(part) for part in found)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    right = best_answers(probabilities, range(4), 2)
    assert labels.tolist() == [label for label, _ in right], (
        f"the two most probable classes are {[label for label, _ in right]}, got {labels.tolist()}"
    )
    assert np.allclose(shares, [share for _, share in right]), (
        "the classes are right, the probabilities are not: softmax runs over all classes, "
        "not only over the best"
    )
    large = answer(logits + 1000, 2)
    assert np.isfinite(large[1]).all(), "large logits overflow: subtract the greatest first"
    return "Right. That is what the bars show."


def bits_of_doubt(answer: Callable) -> str:
    """``bits_of_doubt(probabilities)``: float ``[classes]`` that sums to 1 -> entropy in bits."""
    even = answer(np.full(4, 0.25))
    assert np.isclose(even, 2), f"four equal answers leave 2 bits of doubt, not {even:.3f}"
    sure = answer(np.array([1.0, 0.0, 0.0]))
    assert np.isclose(sure, 0), "a network that is quite sure has no doubt: 0 * log 0 counts as 0"
    assert np.isclose(answer(np.array([0.5, 0.25, 0.25])), 1.5), "0.5, 0.25, 0.25 leave 1.5 bits"
    return "Right. Apply it to the answers on noise: little doubt does not mean knowledge."


def calibration_error(answer: Callable) -> str:
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
    return "Right. A network that is sure of noise has a large one there."
