"""Section 3.3.2 as a picture: how much each block and layer counts, epoch by epoch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from statkit.schedules import inner_weights

from .style import COLOURS, INK, WIDTH, attach, drawing, new_figure

HEIGHT = 3.3
BLOCKS = ("#c6dbef", "#6baed6", "#2171b5", "#08306b")  # shallow is light, deep is dark
LAYERS = ("#c7e9c0", "#238b45")


@drawing
def draw_schedule(
    schedule: str | Sequence[Sequence[float]], *, epochs: int, epoch: int = 0
) -> Figure:
    """The weights inside Equations 2 and 3 as stacked bars an epoch, with one epoch read off.

    Args:
        schedule: as in :func:`statkit.schedules.inner_weights`.
        epochs: of the training. epoch: the one to read off, from 0.
    """
    found = [inner_weights(schedule, number, epochs) for number in range(epochs)]
    sat, tat = np.array([one.sat for one in found]), np.array([one.tat for one in found])
    figure, edges = new_figure(HEIGHT), np.arange(epochs + 1) - 0.5
    panels = (
        (sat, [f"Res{i}" for i in range(1, 5)], BLOCKS, "SAT: blocks (Equation 2)"),
        (tat, ["FC1", "FC2"], LAYERS, "TAT: layers (Equation 3)"),
    )
    for place, (weights, names, colours, title) in enumerate(panels):
        left = (0.65 + place * WIDTH / 2) / WIDTH
        axes = figure.add_axes((left, 0.6 / HEIGHT, (WIDTH / 2 - 1.45) / WIDTH, 2.35 / HEIGHT))
        floor = np.zeros(epochs)
        for values, name, colour in zip(100 * weights.T, names, colours, strict=True):
            axes.stairs(floor + values, edges, baseline=floor, fill=True, color=colour)
            if values[epoch] > 0:
                middle, words = floor[epoch] + values[epoch] / 2, f"{name} {values[epoch]:.0f} %"
                axes.text(epochs - 0.3, middle, words, fontsize=8, va="center", color=INK)
            floor = floor + values
        axes.axvline(epoch, color=COLOURS["student"], lw=2)
        axes.set(title=title, xlabel="epoch", xlim=(-0.5, epochs - 0.5), ylim=(0, 100))
        axes.locator_params(axis="x", integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("share of the loss (per cent)")
    read = ", ".join(f"Res{i + 1} {100 * value:.0f} %" for i, value in enumerate(sat[epoch]))
    read += ", " + ", ".join(f"FC{i + 1} {100 * value:.0f} %" for i, value in enumerate(tat[epoch]))
    alt = f"Weights of blocks and layers over {epochs} epochs; in epoch {epoch}: {read}."
    return attach(figure, alt, sat=sat, tat=tat)
