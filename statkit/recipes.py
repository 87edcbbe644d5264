"""The two stages (paper, Section 4.2): a single model learns from labels; then a student learns
from labels and from where and when a fixed teacher looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .schedules import warmup_step_rate
from .views import VIEWS


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the training clips.
        batch_size: clips a step.
        optimizer: "adamw" or "sgd" (momentum .9).
        rate: peak learning rate of TAM and head, and of the backbone unless it has its own.
        backbone_rate: learning rate of a pretrained backbone.
        schedule: "cosine" (linear warm-up over a tenth of the epochs, then a half cosine to 0)
            or "paper" (:func:`statkit.schedules.warmup_step_rate`).
        weight_decay: of the optimizer; not on biases and normalisation.
        clip_norm: largest total norm of the gradient.
        batchnorm: "train", "partial" (all frozen but the first) or "all" (all frozen).
        views: how many rows of the view table are drawn from, 1 to 10.
        frame_sampling: "all", any stored frame in any view; or "fixed", a clip shows one set
            of frames per view. A teacher whose targets are kept is then asked once for each of K
            frames a view, not for all that are stored.
        start: "random", or "probe": the temporal attention starts equal, and the head as a linear
            probe on the pretrained features, so that fine-tuning starts where a probe ends.
        precision: see :func:`statkit.runtime.device.autocast`.
    """

    epochs: int = 20
    batch_size: int = 32
    optimizer: str = "adamw"
    rate: float = 3e-3
    backbone_rate: float | None = None
    schedule: str = "cosine"
    weight_decay: float = 0.05
    clip_norm: float = 20.0
    batchnorm: str = "train"
    views: int = len(VIEWS)
    frame_sampling: str = "all"
    start: str = "random"
    precision: str = "auto"

    def __post_init__(self):
        if self.optimizer not in ("adamw", "sgd") or self.schedule not in ("cosine", "paper"):
            raise ValueError(f"unknown {self.optimizer=} or {self.schedule=}")
        if self.frame_sampling not in ("all", "fixed"):
            raise ValueError(f"frame_sampling is 'all' or 'fixed', got {self.frame_sampling!r}")
        if self.start not in ("random", "probe"):
            raise ValueError(f"start is 'random' or 'probe', got {self.start!r}")
        if self.epochs < 1 or self.batch_size < 2 or not 1 <= self.views <= len(VIEWS):
            raise ValueError(
                f"epochs from 1, batch_size from 2, views from 1 to {len(VIEWS)}: "
                f"{self.epochs=} {self.batch_size=} {self.views=}"
            )

    def rate_at(self, epoch: float) -> float:
        """Share of the peak learning rate after ``epoch`` epochs (fractions count)."""
        if self.schedule == "paper":
            return warmup_step_rate(epoch)
        warm = 0.1 * self.epochs
        if epoch < warm:
            return (epoch + 0.02 * warm) / (1.02 * warm)
        return 0.5 * (1 + math.cos(math.pi * (epoch - warm) / (self.epochs - warm)))


RECIPES = {
    # The demo network, from nothing, in minutes on a laptop's CPU.
    "quick": Recipe(epochs=50),
    # Section 4.2.
    "paper": Recipe(
        epochs=50,
        batch_size=256,
        optimizer="sgd",
        rate=1e-3,
        schedule="paper",
        weight_decay=5e-4,
        batchnorm="partial",
    ),
    # A pretrained backbone on a few hundred clips. From a random head, its first large gradients
    # spoil the features (measured: below a linear probe); so the head starts as that probe.
    "finetune": Recipe(
        epochs=6,
        batch_size=16,
        rate=1e-4,
        backbone_rate=3e-5,
        weight_decay=1e-2,
        batchnorm="all",
        frame_sampling="fixed",
        start="probe",
    ),
}
