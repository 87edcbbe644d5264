"""The three losses: spatial (Equation 2), temporal (Equation 3), and their sum (Equation 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-12
REDUCTIONS = ("norm", "sum", "mean")


def sat_loss(
    student_maps: Sequence[Tensor],
    teacher_maps: Sequence[Tensor],
    weights: Sequence[float] | None = None,
    *,
    reduction: str = "norm",
) -> Tensor:
    """Equation 2: how far the student's spatial attention is from the teacher's.

    ``sum_i w_i || Q_S/||Q_S||_2 - Q_T/||Q_T||_2 ||_2`` over the blocks i, with Q the map of one
    sample as a vector (over T*H*W for a 3-D network), averaged over the batch.

    Args:
        student_maps, teacher_maps: one ``[N, H, W]`` or ``[N, T, H, W]`` a block. Where sizes
            differ, the larger axis is area-pooled to the smaller, on either side.
        weights: w_i; equal and summing to 1 when None.
        reduction: "norm" (the formula), "sum" (of squares), or "mean" (of squares, over all
            elements: about 1e-4, so that a weight of 1/3 does nothing).

    Returns:
        float32 scalar. No gradient flows to the teacher.

    Raises:
        ValueError: the two sides do not pair up, or an unknown reduction.
    """
    pooled = [_match(s, t) for s, t in zip(student_maps, teacher_maps, strict=True)]
    return _attention_distance(pooled, weights, reduction)


def tat_loss(
    student_outputs: Sequence[Tensor],
    teacher_outputs: Sequence[Tensor],
    weights: Sequence[float] | None = None,
    *,
    reduction: str = "norm",
) -> Tensor:
    """Equation 3: how far the student's temporal attention is from the teacher's.

    The same distance as Equation 2, over the outputs ``[B, hidden]`` and ``[B, K]`` of the two
    fully-connected layers of the temporal attention module. Arguments as in :func:`sat_loss`.
    """
    pairs = list(zip(student_outputs, teacher_outputs, strict=True))
    for student, teacher in pairs:
        if student.shape != teacher.shape:
            raise ValueError(f"TAM outputs differ: {list(student.shape)}, {list(teacher.shape)}")
    return _attention_distance(pairs, weights, reduction)


@dataclass(frozen=True)
class LossParts:
    """Scalars: the weighted total (to be differentiated) and the three losses before weighting."""

    total: Tensor
    ce: Tensor
    sat: Tensor
    tat: Tensor

    def values(self) -> dict[str, float]:
        """The four as plain numbers, for a progress bar."""
        names = ("total", "ce", "sat", "tat")
        return {name: getattr(self, name).detach().item() for name in names}


@dataclass(frozen=True)
class STATLoss:
    """Equation 4: ``W_CE L_CE + W_SAT L_SAT + W_TAT L_TAT``.

    Attributes:
        ce, sat, tat: the overall weights, 1/3 each in the paper's best fixed setting.
        sat_blocks: weights of the four blocks in Equation 2 (equal when None).
        tat_layers: weights of the two layers in Equation 3 (equal when None).
        tat_on: "paper" compares both outputs before the softmax, "softmax" fc1 and the weights.
        reduction: as in :func:`sat_loss`.
        label_smoothing: of the cross-entropy, 0 in the paper.
    """

    ce: float = 1 / 3
    sat: float = 1 / 3
    tat: float = 1 / 3
    sat_blocks: Sequence[float] | None = None
    tat_layers: Sequence[float] | None = None
    tat_on: str = "paper"
    reduction: str = "norm"
    label_smoothing: float = 0.0

    def __post_init__(self):
        if min(self.ce, self.sat, self.tat) < 0 or self.ce + self.sat + self.tat <= 0:
            raise ValueError(
                "weights must not be negative and not all 0, "
                f"got ce={self.ce}, sat={self.sat}, tat={self.tat}"
            )
        if self.tat_on not in ("paper", "softmax"):
            raise ValueError(f"tat_on is 'paper' or 'softmax', got {self.tat_on!r}")

    def __call__(self, student, labels: Tensor | None, teacher=None) -> LossParts:
        """Compare a student's output with the labels and the teacher's output.

        Args:
            student: has ``.logits`` [B, classes], ``.attention_maps`` and ``.tam``.
            labels: int64 ``[B]``; None only where ``ce`` is 0 (unlabelled video, Section 3.3.1).
            teacher: has ``.attention_maps`` and ``.tam``; None only where sat and tat are 0.
        """
        zero = student.logits.new_zeros((), dtype=torch.float32)
        ce = sat = tat = zero
        if labels is None and self.ce:
            raise ValueError("the cross-entropy has a weight but there are no labels")
        if teacher is None and (self.sat or self.tat):
            raise ValueError("SAT or TAT has a weight but there is no teacher")
        if labels is not None:
            ce = F.cross_entropy(
                student.logits.float(), labels, label_smoothing=self.label_smoothing
            )
        if teacher is not None:
            sat = sat_loss(
                student.attention_maps,
                teacher.attention_maps,
                self.sat_blocks,
                reduction=self.reduction,
            )
            tat = tat_loss(
                self._layers(student.tam),
                self._layers(teacher.tam),
                self.tat_layers,
                reduction=self.reduction,
            )
        total = zero
        # A part without weight is reported but stays out of the graph.
        for weight, part in ((self.ce, ce), (self.sat, sat), (self.tat, tat)):
            if weight:
                total = total + weight * part
        return LossParts(total, ce.detach(), sat.detach(), tat.detach())

    def _layers(self, tam) -> tuple[Tensor, Tensor]:
        return (tam.fc1, tam.fc2 if self.tat_on == "paper" else tam.weights)


def _attention_distance(pairs, weights, reduction) -> Tensor:
    if not pairs:
        raise ValueError("nothing to compare: both lists are empty")
    weights = [1 / len(pairs)] * len(pairs) if weights is None else list(weights)
    if len(weights) != len(pairs):
        raise ValueError(f"{len(weights)} weights for {len(pairs)} pairs")
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is not one of {REDUCTIONS}")
    parts = [_distance(s, t.detach(), reduction) for s, t in pairs]
    return sum(weight * part for weight, part in zip(weights, parts, strict=True))


def _distance(student: Tensor, teacher: Tensor, reduction: str) -> Tensor:
    difference = _unit(student) - _unit(teacher)
    if reduction == "norm":
        return torch.linalg.vector_norm(difference, dim=1).mean()
    squares = difference.square()
    return squares.sum(1).mean() if reduction == "sum" else squares.mean()


def _unit(values: Tensor) -> Tensor:
    """``[N, ...]`` -> ``[N, D]`` of unit L2 norm; an all-zero sample stays zero."""
    vectors = values.flatten(1)
    vectors = vectors if vectors.dtype == torch.float64 else vectors.float()
    return F.normalize(vectors, dim=1, eps=EPS)


def _match(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Pool both maps to the smaller size along each axis."""
    if student.ndim != teacher.ndim or student.ndim not in (3, 4) or len(student) != len(teacher):
        raise ValueError(
            "maps must both be [N, H, W] or [N, T, H, W] with the same N, "
            f"got {list(student.shape)} and {list(teacher.shape)}"
        )
    size = [min(s, t) for s, t in zip(student.shape[1:], teacher.shape[1:], strict=True)]
    return pool_map(student, size), pool_map(teacher, size)


def pool_map(values: Tensor, size: Sequence[int]) -> Tensor:
    """Area-pool maps ``[N, H, W]`` or ``[N, T, H, W]`` to ``size`` (without the batch axis)."""
    if list(values.shape[1:]) == list(size):
        return values
    return F.interpolate(values[:, None], size=tuple(size), mode="area")[:, 0]
