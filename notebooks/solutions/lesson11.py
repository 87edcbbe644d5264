"""Solutions of lesson 11."""

import numpy as np
import torch


def gap_closed(teacher: float, student: float, transfer: float) -> float:
    return (transfer - student) / (teacher - student)


def specificity(maps: torch.Tensor) -> float:
    units = torch.nn.functional.normalize(maps.flatten(1), dim=1)
    centre = torch.nn.functional.normalize(units.mean(0), dim=0)
    return (units - centre).square().sum(1).mean().sqrt().item()


def left_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    errors = []
    for i in range(len(x)):
        line = np.polyfit(np.delete(x, i), np.delete(y, i), 1)
        errors.append(np.polyval(line, x[i]) - y[i])
    return np.array(errors)
