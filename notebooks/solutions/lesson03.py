"""Solutions of lesson 3."""

import numpy as np
import torch


def centres(num_frames: int, segments: int) -> list:
    interval = num_frames / segments
    return [int((k + 0.5) * interval) for k in range(segments)]


def temporal_weights(features, w1, b1, w2, b2) -> torch.Tensor:
    hidden = (features.flatten(1) @ w1.T + b1).relu()
    return (hidden @ w2.T + b2).softmax(-1)


def follows_content(old: np.ndarray, new: np.ndarray, order: np.ndarray) -> float:
    return np.minimum(new, old[order]).sum()
