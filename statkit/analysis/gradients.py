"""The gradient of each part of Equation 4 with respect to the student.

The gradient of a weighted sum is the weighted sum of gradients. So three gradients, computed once
per batch, give the result for all weights; only their nine inner products are needed.
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from statkit.losses import STATLoss
from statkit.models import STATNet

PARTS = ("ce", "sat", "tat")


@dataclass(frozen=True)
class GradientStats:
    """The three parts of Equation 4 on one batch, in the order of ``PARTS``: values float64
    ``[3]``, the losses before weighting; products float64 ``[3, 3]``, the inner products of their
    gradients over all trained parameters."""

    values: np.ndarray
    products: np.ndarray

    @property
    def norms(self) -> np.ndarray:
        """Length of each part's gradient, ``[3]``."""
        return np.sqrt(np.diag(self.products))

    @property
    def cosines(self) -> np.ndarray:
        """Cosine between the gradients of two parts, ``[3, 3]``: 1 same direction, -1 opposite; 0
        if one gradient is 0."""
        lengths = np.outer(self.norms, self.norms)
        return np.divide(self.products, lengths, out=np.zeros_like(lengths), where=lengths > 0)

    def total_norm(self, weights: np.ndarray) -> float:
        """Length of the gradient of Equation 4."""
        return float(np.sqrt(max(0.0, weights @ self.products @ weights)))

    def shares(self, weights: np.ndarray) -> np.ndarray:
        """Each weighted part's share of that length, ``[3]``: its component along the whole
        gradient. The shares sum to 1; a negative share means that the step raises the part."""
        square = weights @ self.products @ weights
        return weights * (self.products @ weights) / square if square > 0 else np.zeros(3)


def loss_gradients(
    student: STATNet, pixels: Tensor, labels: Tensor, teacher, *, batchnorm: str = "train"
) -> GradientStats:
    """Gradients of the three parts with respect to the student's parameters, as in training.

    Args:
        student: not changed; a copy is differentiated.
        pixels: the student's input, see :class:`statkit.models.STATNet`.
        labels: int64 ``[B]``.
        teacher: the teacher's output on the same batch, see :class:`statkit.losses.STATLoss`.
        batchnorm: the recipe's frozen layers, see :meth:`statkit.models.STATNet.freeze_batchnorm`.
    """
    student = deepcopy(student).freeze_batchnorm(batchnorm).train()
    learnt = [p for p in student.parameters() if p.requires_grad]
    output = student(pixels)
    values, gradients = [], []
    for part in PARTS:
        weights = dict.fromkeys(PARTS, 0.0) | {part: 1.0}
        alone = STATLoss(**weights)(output, labels, teacher)
        found = torch.autograd.grad(
            alone.total, learnt, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        values.append(alone.total.item())
        gradients.append(torch.cat([g.double().flatten() for g in found]))
    stacked = torch.stack(gradients)
    return GradientStats(np.array(values), (stacked @ stacked.T).cpu().numpy())
