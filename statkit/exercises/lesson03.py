"""Checks of lesson 3, temporal attention."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from statkit.attention import TemporalAttention
from statkit.sampling import segment_indices


def centres(answer: Callable) -> str:
    """``centres(num_frames, segments)``: the frame in the middle of each interval."""
    found = answer(100, 4)
    assert len(found) == 4, f"one frame an interval: 4 numbers, not {len(found)}"
    assert list(found) == [12, 37, 62, 87], (
        "intervals of 25 frames have their middles at 12.5, 37.5, ...: frames 12, 37, 62 and 87, "
        f"not {list(found)}"
    )
    for length, segments in ((16, 8), (17, 5), (3, 8)):
        right = segment_indices(length, segments)[:, 0].tolist()
        assert list(answer(length, segments)) == right, (
            f"of {length} frames in {segments} intervals the centres are {right}, "
            f"not {list(answer(length, segments))}"
        )
    return "Right. segment_indices does the same, for several consecutive frames too."


def temporal_weights(answer: Callable) -> str:
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
    return "Right. That is TemporalAttention, all of it."


def follows_content(answer: Callable) -> str:
    """``follows_content(old, new, order)``: overlap of new weights with the old ones moved."""
    old, order = np.array([0.7, 0.2, 0.1]), np.array([2, 0, 1])
    moved = np.array([0.1, 0.7, 0.2])
    found = answer(old, moved, order)
    assert np.isclose(found, 1), (
        f"weights {old} whose frames now come as {order} and which are now {moved} went with "
        f"their frames: 1, not {found:.2f}"
    )
    assert np.isclose(answer(old, old, order), 0.1 + 0.2 + 0.1), (
        "weights that stayed share only 0.1, 0.2 and 0.1 with the moved ones, "
        f"not {answer(old, old, order):.2f}"
    )
    return "Right. statkit.analysis.orders.overlap does so for all clips at once."
