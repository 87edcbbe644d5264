"""The three losses: spatial (Equation 2), temporal (Equation 3), and their sum (Equation 4); also
Hinton's distillation of the logits, as a baseline, and weights that follow the teacher's
confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-12
DISTANCES = ("norm", "sum", "mean")
TIMES = ("whole", "step", "mean")
SIZES = ("pool", "upsample")
TAT_TARGETS = ("paper", "softmax")


def sat_loss(
    student_maps: Sequence[Tensor],
    teacher_maps: Sequence[Tensor],
    weights: Sequence[float] | None = None,
    *,
    distance: str = "norm",
    sample_weights: Tensor | None = None,
    time: str = "whole",
    sizes: str = "pool",
    specific: bool = False,
) -> Tensor:
    """Equation 2: how far the student's spatial attention is from the teacher's.

    ``sum_i w_i || Q_S/||Q_S||_2 - Q_T/||Q_T||_2 ||_2`` over the blocks i, with Q the map of one
    sample as a vector (over T*H*W for a 3-D network), averaged over the batch.

    Args:
        student_maps, teacher_maps: one ``[N, H, W]`` or ``[N, T, H, W]`` per block.
        weights: w_i; when None, equal weights that sum to 1.
        distance: "norm" (the formula), "sum" (of squares), or "mean" (of squares, over all
            elements: about 1e-4, so that a weight of 1/3 does nothing).
        sample_weights: ``[N]``, a factor for each sample's distance before the average over the
            batch; see :func:`confidence_weights`. 1 for all when None.
        time: for maps with a time axis: "whole" (one vector over T*H*W), "step" (one vector per
            time step; the distances are averaged) or "mean" (the mean map over time).
        sizes: where sizes differ: "pool" (area-pool the larger axis to the smaller one, for student
            or teacher) or "upsample" (resize the student's map to the teacher's size, linearly).
        specific: compare what is specific to each clip, see :func:`specific_part`; not in the
            paper.

    Returns:
        float32 scalar. No gradient flows to the teacher.

    Raises:
        ValueError: the maps do not form pairs, or an unknown distance, time or sizes.
    """
    if time not in TIMES or sizes not in SIZES:
        raise ValueError(f"time is one of {TIMES}, sizes of {SIZES}: got {time!r}, {sizes!r}")
    pairs = [_match(s, t, sizes) for s, t in zip(student_maps, teacher_maps, strict=True)]
    return _attention_distance(pairs, weights, distance, sample_weights, specific, time)


def tat_loss(
    student_outputs: Sequence[Tensor],
    teacher_outputs: Sequence[Tensor],
    weights: Sequence[float] | None = None,
    *,
    distance: str = "norm",
    sample_weights: Tensor | None = None,
    specific: bool = False,
) -> Tensor:
    """Equation 3: how far the student's temporal attention is from the teacher's. The distance,
    arguments and errors of :func:`sat_loss`, over the outputs ``[B, hidden]`` and ``[B, K]`` of the
    two fully-connected layers of the temporal attention module."""
    pairs = list(zip(student_outputs, teacher_outputs, strict=True))
    for student, teacher in pairs:
        if student.shape != teacher.shape:
            raise ValueError(f"TAM outputs differ: {list(student.shape)}, {list(teacher.shape)}")
    return _attention_distance(pairs, weights, distance, sample_weights, specific)


def specific_part(units: Tensor) -> Tensor:
    """What attention says of each sample alone: ``u_n - mean_n u_n``, of unit vectors ``[N, D]``.

    If all maps of a teacher are much the same (a bright centre, say), Equation 2 mostly asks the
    student to copy one constant map. A constant carries no information about the clip, so
    ``specific`` losses subtract it, from the teacher and from the student, each its own, and scale
    the rest to unit length again. The constant is the mean over the training frames; the batch, a
    random draw of the training frames (K frames per clip), estimates it. Both sides take the mean
    over the same frames, so an unusual batch shifts both alike. A batch of one sample has no
    specific part: its loss is 0. If a batch is computed in parts (micro-batches, several
    processes), each part takes its own mean, as batch normalisation does.
    """
    return units - units.mean(0)


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0) -> Tensor:
    """Distillation of the logits (Hinton et al., 2015), a baseline that is not in the paper:
    ``T^2 KL(softmax(teacher / T) || softmax(student / T))``, averaged over the batch ``[B, C]``."""
    student = F.log_softmax(student_logits.float() / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.detach().float() / temperature, dim=1)
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


class ConfidenceWeights(NamedTuple):
    """Weights of the distance to the teacher: clips ``[B]`` in 0..1, frames ``[B*K]`` in 0..K."""

    clips: Tensor
    frames: Tensor


def confidence_weights(
    teacher_logits: Tensor, teacher_weights: Tensor, labels: Tensor | None = None
) -> ConfidenceWeights:
    """**Confidence weights**: the distance to a confident teacher gets a larger weight.

    The weight of a clip is the teacher's probability of its label; without a label, of its most
    probable class. The weight of a frame is the clip's weight times K times the frame's temporal
    weight a_k: both the teacher's logits and the gradient that trained the map of frame k scale
    with a_k. Frames with a small a_k hardly trained the teacher's maps.

    Args:
        teacher_logits: ``[B, classes]``. teacher_weights: ``[B, K]``. labels: int64 ``[B]``.
    """
    chances = teacher_logits.detach().float().softmax(1)
    likeliest = chances.max(1).values
    clips = likeliest if labels is None else chances.gather(1, labels[:, None])[:, 0]
    frames = clips[:, None] * teacher_weights.shape[1] * teacher_weights.detach().float()
    return ConfidenceWeights(clips, frames.flatten())


class LossParts(NamedTuple):
    """Scalars: the weighted total (to be differentiated) and the losses before weighting."""

    total: Tensor
    ce: Tensor
    sat: Tensor
    tat: Tensor
    kd: Tensor

    def values(self) -> dict[str, float]:
        """All the losses as plain numbers, for a progress bar."""
        return {name: part.item() for name, part in self._asdict().items()}


PARTS = LossParts._fields


@dataclass(frozen=True)
class STATLoss:
    """Equation 4: ``W_CE L_CE + W_SAT L_SAT + W_TAT L_TAT``.

    Attributes:
        ce, sat, tat: the overall weights, 1/3 each in the paper's best fixed setting.
        sat_blocks: weights of the four blocks in Equation 2 (equal when None).
        tat_layers: weights of the two layers in Equation 3 (equal when None).
        tat_targets: "paper" compares fc1 and fc2 (before the softmax); "softmax" compares
            fc1 and the weights.
        distance, time, sizes: as in :func:`sat_loss`.
        label_smoothing: smoothing in the cross-entropy, 0 in the paper.
        kd: weight of :func:`kd_loss`, 0 in the paper.
        confident: whether SAT and TAT are weighted by :func:`confidence_weights`; not in the paper.
        specific: whether SAT and TAT compare only what is specific to each clip
            (:func:`specific_part`); not in the paper.
        other_clip: a control: whether SAT and TAT compare each clip with the teacher's attention
            on the next clip of the batch (after the last comes the first); not in the paper.
    """

    ce: float = 1 / 3
    sat: float = 1 / 3
    tat: float = 1 / 3
    sat_blocks: Sequence[float] | None = None
    tat_layers: Sequence[float] | None = None
    tat_targets: str = "paper"
    distance: str = "norm"
    time: str = "whole"
    sizes: str = "pool"
    label_smoothing: float = 0.0
    kd: float = 0.0
    confident: bool = False
    specific: bool = False
    other_clip: bool = False

    def __post_init__(self):
        weights = (self.ce, self.sat, self.tat, self.kd)
        if min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(
                "weights must not be negative and not all 0, "
                f"got ce={self.ce}, sat={self.sat}, tat={self.tat}, kd={self.kd}"
            )
        if self.tat_targets not in TAT_TARGETS:
            raise ValueError(f"tat_targets is one of {TAT_TARGETS}, got {self.tat_targets!r}")

    def __call__(self, student, labels: Tensor | None, teacher=None) -> LossParts:
        """Compare a student's output with the labels and the teacher's output.

        Args:
            student: has ``.logits`` [B, classes], ``.attention_maps`` and ``.tam``.
            labels: int64 ``[B]``; None only if ``ce`` is 0 (unlabelled video, Section 3.3.1).
            teacher: has ``.attention_maps``, ``.tam`` and ``.logits``; None only if all weights
                except ``ce`` are 0.
        """
        total = ce = sat = tat = kd = student.logits.new_zeros((), dtype=torch.float32)
        if labels is None and self.ce:
            raise ValueError("the cross-entropy has a weight but there are no labels")
        if teacher is None and (self.sat or self.tat or self.kd):
            raise ValueError("SAT, TAT or KD has a weight but there is no teacher")
        if labels is not None:
            smoothing = self.label_smoothing
            ce = F.cross_entropy(student.logits.float(), labels, label_smoothing=smoothing)
        if teacher is not None:
            clips = frames = None
            if self.confident:
                clips, frames = confidence_weights(teacher.logits, teacher.tam.weights, labels)
            how: dict[str, Any] = {"distance": self.distance, "specific": self.specific}
            axes: dict[str, Any] = {"time": self.time, "sizes": self.sizes, **how}
            ours, theirs = student.attention_maps, self._paired(teacher.attention_maps, teacher)
            sat = sat_loss(ours, theirs, self.sat_blocks, sample_weights=frames, **axes)
            ours, theirs = (
                (tam.fc1, tam.fc2 if self.tat_targets == "paper" else tam.weights)
                for tam in (student.tam, teacher.tam)
            )
            theirs = self._paired(theirs, teacher)
            tat = tat_loss(ours, theirs, self.tat_layers, sample_weights=clips, **how)
        if self.kd:
            kd = kd_loss(student.logits, teacher.logits)
        # A part with weight 0 is reported but is not in the graph.
        for weight, part in ((self.ce, ce), (self.sat, sat), (self.tat, tat), (self.kd, kd)):
            if weight:
                total = total + weight * part
        return LossParts(total, *(part.detach() for part in (ce, sat, tat, kd)))

    def _paired(self, attention: Sequence[Tensor], teacher) -> Sequence[Tensor]:
        """The teacher's attention on the clip, or frame for frame on the next one."""
        if not self.other_clip:
            return attention
        return [one.roll(-(len(one) // len(teacher.logits)), 0) for one in attention]


def _attention_distance(
    pairs, weights, distance: str, sample_weights, specific: bool, time: str = "whole"
) -> Tensor:
    if not pairs:
        raise ValueError("nothing to compare: both lists are empty")
    weights = [1 / len(pairs)] * len(pairs) if weights is None else list(weights)
    if len(weights) != len(pairs):
        raise ValueError(f"{len(weights)} weights for {len(pairs)} pairs")
    if distance not in DISTANCES:
        raise ValueError(f"distance {distance!r} is not one of {DISTANCES}")
    how = distance, sample_weights, specific, time
    return sum(w * _distance(s, t.detach(), *how) for w, (s, t) in zip(weights, pairs, strict=True))


def _distance(
    student, teacher, distance: str, sample_weights: Tensor | None, specific: bool, time: str
) -> Tensor:
    if time == "mean" and student.ndim == 4:
        student, teacher = student.mean(1), teacher.mean(1)
    if time == "step" and student.ndim == 4:
        if sample_weights is not None:
            sample_weights = sample_weights.repeat_interleave(student.shape[1])
        student, teacher = student.flatten(0, 1), teacher.flatten(0, 1)
    ours, theirs = _unit(student), _unit(teacher)
    if specific:
        # eps: rounding errors of equal maps are no direction.
        ours, theirs = specific_part(ours), specific_part(theirs)
        ours, theirs = (F.normalize(side, dim=1, eps=1e-5) for side in (ours, theirs))
    difference = ours - theirs
    if distance == "norm":
        distances = torch.linalg.vector_norm(difference, dim=1)
    else:
        distances = getattr(difference.square(), distance)(1)  # "sum" or "mean"
    return (distances if sample_weights is None else sample_weights * distances).mean()


def _unit(values: Tensor) -> Tensor:
    """``[N, ...]`` -> ``[N, D]`` of unit L2 norm; an all-zero sample stays zero."""
    precise = torch.promote_types(values.dtype, torch.float32)
    return F.normalize(values.flatten(1).to(precise), dim=1, eps=EPS)


def _match(student: Tensor, teacher: Tensor, sizes: str) -> tuple[Tensor, Tensor]:
    """Pool both maps to the smaller size along each axis, or upsample the student's."""
    if student.ndim != teacher.ndim or student.ndim not in (3, 4) or len(student) != len(teacher):
        raise ValueError(
            "maps must both be [N, H, W] or [N, T, H, W] with the same N, "
            f"got {list(student.shape)} and {list(teacher.shape)}"
        )
    if sizes == "upsample":
        if student.shape != teacher.shape:
            mode = "bilinear" if student.ndim == 3 else "trilinear"
            student = F.interpolate(student[:, None], size=teacher.shape[1:], mode=mode)[:, 0]
        return student, teacher
    size = [min(s, t) for s, t in zip(student.shape[1:], teacher.shape[1:], strict=True)]
    return pool_map(student, size), pool_map(teacher, size)


def pool_map(values: Tensor, size: Sequence[int]) -> Tensor:
    """Area-pool maps ``[N, H, W]`` or ``[N, T, H, W]`` to ``size`` (without the batch axis)."""
    if list(values.shape[1:]) == list(size):
        return values
    return F.interpolate(values[:, None], size=tuple(size), mode="area")[:, 0]
