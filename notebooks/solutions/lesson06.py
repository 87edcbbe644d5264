"""Solutions of lesson 6."""

import numpy as np


def nearest_neighbour_accuracy(points: np.ndarray, labels: np.ndarray) -> float:
    distances = ((points[:, None] - points[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(1)] == labels).mean())


def perplexity_of(shares: np.ndarray) -> float:
    used = shares[shares > 0]
    return float(2 ** -(used * np.log2(used)).sum())


def evenness(points, area):
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(apart, np.inf)
    return apart.min(1).mean() / (0.5 * np.sqrt(area / len(points)))
