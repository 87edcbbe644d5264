"""Where and when a network attends: the spatial attention map (Equation 1) and the temporal
attention module (Figure 3)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

REDUCTIONS = ("sum", "mean", "max")


def spatial_attention(block_output: Tensor, p: float = 1, *, reduction: str = "sum") -> Tensor:
    """Equation 1: ``F(x, y) = sum_i |O(x, y, i)|^p``, a map of how strongly a block responds.

    Args:
        block_output: ``[N, C, H, W]``, or ``[N, C, T, H, W]`` of a 3-D network.
        p: power of the absolute value; the paper's is 1, classic attention transfer's 2.
        reduction: over the channels, "sum" (Equation 1), "mean" (the paper's figures) or "max".

    Returns:
        float32 ``[N, H, W]`` or ``[N, T, H, W]``, not negative.

    Raises:
        ValueError: the number of axes is not 4 or 5, or an unknown reduction.
    """
    if block_output.ndim not in (4, 5):
        raise ValueError(
            "a block's output is [N, C, H, W] or [N, C, T, H, W], "
            f"got shape {tuple(block_output.shape)}"
        )
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is not one of {REDUCTIONS}")
    # Never half precision, which overflows for p = 2.
    magnitude = block_output.to(torch.promote_types(block_output.dtype, torch.float32)).abs()
    if p != 1:
        magnitude = magnitude**p
    return magnitude.amax(1) if reduction == "max" else getattr(magnitude, reduction)(1)


class TAMOutput(NamedTuple):
    """weights ``[B, K]`` sum to 1; fc1 ``[B, hidden]`` (before the ReLU) and fc2 ``[B, K]``
    (before the softmax) are the two fully-connected layers' outputs. Equation 3 compares them."""

    weights: Tensor
    fc1: Tensor
    fc2: Tensor


class TemporalAttention(nn.Module):
    """The temporal attention module (Figure 3): one weight for each of the K intervals.

    All K features are stacked into one vector -> FC ``hidden`` -> ReLU -> FC K -> softmax. K is
    fixed by the second layer.

    Args:
        features: C, the length of the feature of an interval. segments: K.
        hidden: width of the first layer, 64 in the paper.
        shared: not in the paper: one scorer C -> ``hidden`` -> 1 for all intervals. It ignores
            the interval number and cannot compare intervals; ``fc1`` is then ``[B, K * hidden]``.
    """

    def __init__(self, features: int, segments: int, hidden: int = 64, *, shared: bool = False):
        super().__init__()
        self.features, self.segments, self.shared = features, segments, shared
        self.fc1 = nn.Linear(features if shared else features * segments, hidden)
        self.fc2 = nn.Linear(hidden, 1 if shared else segments)

    def forward(self, features: Tensor) -> TAMOutput:
        """``[B, K, C]`` -> TAMOutput; ValueError on any other shape."""
        if features.shape[1:] != (self.segments, self.features):
            raise ValueError(
                f"this module takes [B, {self.segments}, {self.features}], "
                f"got {list(features.shape)}: K and C are fixed when it is built"
            )
        fc1 = self.fc1(features if self.shared else features.flatten(1))
        fc1, fc2 = fc1.flatten(1), self.fc2(fc1.relu()).flatten(1)
        return TAMOutput(fc2.softmax(-1), fc1, fc2)
