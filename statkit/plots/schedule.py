"""Section 3.3.2 as a picture: how much each block and layer counts, epoch by epoch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from statkit.schedules import inner_weights

from .style import COLOURS, WIDTH, attach, drawing, new_figure

HEIGHT = 3.3
BLOCKS = ("#c6dbef", "#6baed6", "#2171b5", "#08306b")  # shallow is light, deep is dark
LAYERS = ("#c7e9c0", "#238b45")


@drawing
def draw_schedule(
    schedule: str | Sequence[Sequence[float]], *, epochs: int, epoch: int = 0
) -> Figure:
    """The weights inside Equations 2 and 3 (:func:`statkit.schedules.inner_weights`) as stacked
    bars, one of ``epochs`` each, with one epoch, from 0, read off."""
    found = [inner_weights(schedule, number, epochs) for number in range(epochs)]
    sat, tat = np.array([one.sat for one in found]), np.array([one.tat for one in found])
    figure, edges, read = new_figure(HEIGHT), np.arange(epochs + 1) - 0.5, []
    panels = (
        (sat, "Res", BLOCKS, "SAT: blocks (Equation 2)"),
        (tat, "FC", LAYERS, "TAT: layers (Equation 3)"),
    )
    for panel, (weights, name, colours, title) in enumerate(panels):
        left = (0.65 + panel * WIDTH / 2) / WIDTH
        axes = figure.add_axes((left, 0.6 / HEIGHT, (WIDTH / 2 - 1.45) / WIDTH, 2.35 / HEIGHT))
        floor = np.zeros(epochs)
        for number, (values, colour) in enumerate(zip(100 * weights.T, colours, strict=True), 1):
            axes.stairs(floor + values, edges, baseline=floor, fill=True, color=colour)
            read.append(f"{name}{number} {values[epoch]:.0f} %")
            if values[epoch] > 0:
                place = epochs - 0.5, floor[epoch] + values[epoch] / 2
                how = {"textcoords": "offset points", "va": "center", "fontsize": 8}
                axes.annotate(read[-1], place, (6, 0), **how)
            floor = floor + values
        axes.axvline(epoch, color=COLOURS["student"], lw=2)
        axes.set(title=title, xlabel="epoch", xlim=(-0.5, epochs - 0.5), ylim=(0, 100))
        axes.locator_params(axis="x", integer=True)
    figure.axes[0].set_ylabel("share of the loss (per cent)")
    alt = f"Weights of blocks and layers over {epochs} epochs; in epoch {epoch}: {', '.join(read)}."
    return attach(figure, alt, sat=sat, tat=tat)
