"""Checks of lesson 5, rolling weights."""

from __future__ import annotations

from collections.abc import Callable

from statkit.schedules import INNER


def phase_of(answer: Callable) -> str:
    """``phase_of(epoch, period)``: 0 to 3."""
    found = [answer(epoch, 10) for epoch in (0, 9, 10, 25, 39)]
    assert found == [0, 0, 1, 2, 3], f"epochs 0, 9, 10, 25, 39 are in 0, 0, 1, 2, 3, not {found}"
    assert answer(49, 10) == 3, f"the last phase is held: epoch 49 is in 3, not {answer(49, 10)}"
    assert answer(5, 2) == 2, "the period does not matter yet"
    return "Right. rolling_weights finds its weights by this number."


def increasing_weights(answer: Callable) -> str:
    """``increasing_weights(blocks)``: shares, shallow to deep."""
    four = answer(4)
    assert abs(sum(four) - 1) < 1e-6, f"they should sum to 1, they sum to {sum(four):.3f}"
    right = INNER["increasing"].sat
    assert all(abs(a - b) < 1e-6 for a, b in zip(four, right, strict=True)), (
        f"for four blocks they are 1/15, 2/15, 4/15, 8/15, not {list(four)}"
    )
    assert len(answer(2)) == 2 and abs(answer(2)[0] - 1 / 3) < 1e-6, "for two layers: 1/3, 2/3"
    return "Right. These are the weights of the paper's gradually increasing rows."


def smooth_weights(answer: Callable) -> str:
    """``smooth_weights(epoch, epochs, first, last)``: evenly from first to last."""
    first, last = [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]
    at = {epoch: list(answer(epoch, 5, first, last)) for epoch in range(5)}
    for epoch, right in ((0, first), (4, last), (2, [0.25] * 4), (1, [0.325, 0.275, 0.225, 0.175])):
        close = len(at[epoch]) == 4 and all(
            abs(a - b) < 1e-6 for a, b in zip(at[epoch], right, strict=True)
        )
        assert close, f"at epoch {epoch} of 5 the weights are {right}, not {at[epoch]}"
    return "Right. Phases of such weights are a schedule of your own for a row."
