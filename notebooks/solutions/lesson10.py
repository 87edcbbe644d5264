"""Solutions of lesson 10."""

import numpy as np


def late_fusion(rgb: np.ndarray, flow: np.ndarray, weight: float) -> np.ndarray:
    return (rgb + weight * flow) / (1 + weight)


def time_steps(frames: int) -> list:
    steps = [frames]
    for _ in range(3):
        steps.append((steps[-1] + 1) // 2)
    return steps


def movement(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    down, right = np.gradient((before + after) / 2)
    slopes = np.stack([right.ravel(), down.ravel()], 1)
    return np.linalg.lstsq(slopes, (before - after).ravel(), rcond=None)[0]
