"""Was the attention copied? The **agreement** of two networks' attention on the same clips."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from statkit.losses import pool_map
from statkit.models import NetOutput


class Agreement(NamedTuple):
    """How far one network's attention changes from clip to clip as another's does: the correlation
    of what is specific to each clip (attention less its mean over all clips). From -1 to 1: 0 if
    the two are unrelated; NaN if one of them is the same for every clip.

    maps: a number per block, of the unit maps of Equation 1; weights: of the temporal weights.
    """

    maps: tuple[float, ...]
    weights: float


class _Covariance:
    """The covariance of two vectors per sample, summed over their elements, batch by batch."""

    def __init__(self):
        self.count, self.sums, self.products = 0, torch.zeros(()), torch.zeros(())

    def add(self, one: Tensor, other: Tensor) -> None:
        both = torch.stack([one, other]).double().cpu()
        self.count += len(one)
        self.sums = self.sums + both.sum(1)
        self.products = self.products + both.flatten(1) @ both.flatten(1).T

    def correlation(self) -> float:
        (own, shared), (_, others) = self.products - self.sums @ self.sums.T / self.count
        rounding = 1e-9 * self.count
        return float(shared / (own * others).sqrt()) if min(own, others) > rounding else math.nan


def agreement(pairs: Iterable[tuple[NetOutput, NetOutput]]) -> Agreement:
    """The agreement of two networks, from their outputs for the same batches of clips."""
    maps, weights = [_Covariance() for _ in range(4)], _Covariance()
    for one, other in pairs:
        for block, *sides in zip(maps, one.attention_maps, other.attention_maps, strict=True):
            size = [min(sizes) for sizes in zip(*(side.shape[1:] for side in sides), strict=True)]
            pooled = (pool_map(side.float(), size).flatten(1) for side in sides)
            block.add(*(F.normalize(values, dim=1) for values in pooled))
        weights.add(one.tam.weights, other.tam.weights)
    return Agreement(tuple(block.correlation() for block in maps), weights.correlation())
