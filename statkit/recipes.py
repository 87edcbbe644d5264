"""How a network is trained, as data: optimizer, rates, epochs (paper, Section 4.2)."""

import math
from dataclasses import dataclass

from .models import BATCHNORM
from .runtime.device import PRECISIONS
from .runtime.parameters import check_fields, declared
from .schedules import warmup_step_rate
from .views import VIEWS

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "paper")
FRAME_SAMPLINGS = ("all", "fixed")
STARTS = ("random", "probe")


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a training.

    The schedule "cosine" is a linear warm-up over a tenth of the epochs, then a half cosine to 0;
    "paper" is :func:`statkit.schedules.warmup_step_rate`. With fixed frame sampling a cached
    teacher computes targets for K frames per view, not for all stored frames.
    """

    epochs: int = declared(20, "passes over the training clips", least=1)
    batch_size: int = declared(32, "clips per step", least=2)
    optimizer: str = declared("adamw", "sgd has momentum 0.9", choices=OPTIMIZERS)
    rate: float = declared(3e-3, "peak learning rate of TAM and head", above=0)
    backbone_rate: float | None = declared(
        None, "peak learning rate of the backbone", kind=float, above=0, unset="that of the head"
    )
    tam_rate: float | None = declared(
        None,
        "peak learning rate of the TAM; a high rate makes its weights differ between clips",
        kind=float,
        above=0,
        unset="that of the head",
    )
    schedule: str = declared("cosine", "learning rate over the epochs", choices=SCHEDULES)
    weight_decay: float = declared(
        0.05, "weight decay, but not of biases and normalisation", least=0
    )
    clip_norm: float = declared(20.0, "largest total norm of the gradient", above=0)
    batchnorm: str = declared(
        "train",
        "batch normalisation: all layers train, all but the first are frozen, or all are frozen",
        choices=BATCHNORM,
    )
    views: int = declared(
        len(VIEWS), "rows of the table of crops and flips in use", least=1, most=len(VIEWS)
    )
    frame_sampling: str = declared(
        "all",
        "any stored frame in any view, or one fixed set of frames per view",
        choices=FRAME_SAMPLINGS,
    )
    start: str = declared(
        "random",
        "start of TAM and head: random, or equal attention and a linear probe on the backbone",
        choices=STARTS,
    )
    precision: str = declared(
        "auto", "number format of the networks; auto: bfloat16 where it is fast", choices=PRECISIONS
    )

    def __post_init__(self):
        check_fields(self)

    @property
    def fixed(self) -> bool:
        """Whether frame sampling is fixed."""
        return self.frame_sampling == "fixed"

    def rate_at(self, epoch: float) -> float:
        """Share of the peak learning rate after ``epoch`` epochs (fractions count)."""
        if self.schedule == "paper":
            return warmup_step_rate(epoch)
        warm = 0.1 * self.epochs
        if epoch < warm:
            return (epoch + 0.02 * warm) / (1.02 * warm)
        return 0.5 * (1 + math.cos(math.pi * (epoch - warm) / (self.epochs - warm)))


RECIPES = {
    # The demo network, from random weights, in minutes on a laptop's CPU.
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
    # A pretrained backbone on a few hundred clips. With a random head, the first large gradients
    # damage the features (measured: below a linear probe), so the head starts as a linear probe.
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
