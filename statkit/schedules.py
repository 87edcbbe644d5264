"""Values that change with the epoch: rolling loss weights (Section 3.3.2) and the learning rate
(Section 4.2)."""

from collections.abc import Sequence
from typing import NamedTuple

SAT_PHASES = (
    (0.4, 0.3, 0.2, 0.1),
    (0.3, 0.4, 0.2, 0.1),
    (0.2, 0.3, 0.4, 0.1),
    (0.1, 0.2, 0.3, 0.4),
)
# The paper prints 66 and 33; here the weights sum to 1.
TAT_PHASES = ((2 / 3, 1 / 3), (1 / 3, 2 / 3))


class RollingWeights(NamedTuple):
    """Weights of the four blocks in Equation 2 and of the two layers in Equation 3."""

    sat: tuple[float, ...]
    tat: tuple[float, ...]


def rolling_weights(epoch: int, period: int = 10, *, cycle: bool = False) -> RollingWeights:
    """Section 3.3.2: the largest weight moves from the shallow blocks to the deep blocks, in four
    phases of ``period`` epochs; with ``cycle`` they start again, otherwise the fourth is held (the
    paper does not specify it). ValueError for a negative epoch or a period below 1."""
    if epoch < 0 or period < 1:
        raise ValueError(f"epoch must be at least 0 and period at least 1: {epoch=}, {period=}")
    phase = epoch // period
    last = len(SAT_PHASES)
    phase = phase % last if cycle else min(phase, last - 1)
    return RollingWeights(SAT_PHASES[phase], TAT_PHASES[phase % len(TAT_PHASES)])


INNER = {
    "equal": RollingWeights((1 / 4,) * 4, (1 / 2,) * 2),
    "increasing": RollingWeights((1 / 15, 2 / 15, 4 / 15, 8 / 15), (1 / 3, 2 / 3)),
    "last": RollingWeights((0.0, 0.0, 0.0, 1.0), (0.0, 1.0)),
}
SCHEDULES = (*INNER, "rolling")


def inner_weights(
    schedule: str | Sequence[Sequence[float]],
    epoch: int,
    epochs: int,
    *,
    phase: int = 0,
    cycle: bool = False,
) -> RollingWeights:
    """Weights inside Equations 2 and 3 by the name of a row of Table 1, or from own phases.

    Args:
        schedule: "equal", "increasing" (gradually, towards the deep blocks), "last" (only),
            "rolling" (:func:`rolling_weights`), or own phases: four block weights each,
            scaled to sum to 1, of equal length; the two layers stay equal.
        epoch: from 0. epochs: number of epochs of the whole training.
        phase: epochs per rolling phase; 0 means a fifth of all epochs (in the paper 10 of 50).
        cycle: whether rolling starts again after the fourth phase.

    Raises:
        ValueError: an unknown name, or phases that are not four weights with a positive sum.
    """
    if schedule == "rolling":
        return rolling_weights(epoch, phase or max(1, epochs // 5), cycle=cycle)
    if isinstance(schedule, str):
        if schedule not in INNER:
            raise ValueError(f"schedule {schedule!r} is not one of {SCHEDULES}")
        return INNER[schedule]
    if not schedule or any(len(p) != 4 or min(p) < 0 or sum(p) <= 0 for p in schedule):
        raise ValueError(f"a phase is four weights with a positive sum, got {schedule!r}")
    own = schedule[min(epoch * len(schedule) // epochs, len(schedule) - 1)]
    return RollingWeights(tuple(weight / sum(own) for weight in own), INNER["equal"].tat)


def warmup_step_rate(epoch: float) -> float:
    """The paper's learning rate as a share of its base after ``epoch`` epochs (fractions count):
    linear warm-up over five epochs, and division by ten every 20 epochs."""
    return min(1.0, (epoch + 1) / 5) * 0.1 ** int(epoch // 20)
