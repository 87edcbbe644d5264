"""Equation 4 taken apart: what each part adds to the loss, and how hard it pulls."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from statkit.analysis.gradients import GradientStats

from .style import COLOURS, MUTED, OTHER, attach, drawing, new_figure

TITLES = ("cross-entropy", "SAT, where", "TAT, when")


@drawing
def draw_loss_parts(pull: GradientStats, *, weights: Sequence[float]) -> Figure:
    """Two rows of bars a part: its value times its weight, and its share of the gradient; weights
    are W_CE, W_SAT, W_TAT of Equation 4."""
    weights = np.asarray(weights, float)
    terms, shares = weights * pull.values, pull.shares(weights)
    figure = new_figure(2.2)
    sums = [
        f"{weight:.2f} × {value:.3f} = {term:.3f}"
        for weight, value, term in zip(weights, pull.values, terms, strict=True)
    ]
    percent = [f"{100 * share:.0f} %" for share in shares]
    ends = min(0, shares.min() - 0.1), max(1.3, shares.max() + 0.3)
    for x, title, lengths, words, xlim in (
        (0.13, f"loss: {terms.sum():.3f}", terms, sums, (0, 1.8 * max(1e-9, pull.values.max()))),
        (0.57, f"gradient: length {pull.total_norm(weights):.3g}", shares, percent, ends),
    ):
        axes = figure.add_axes((x, 0.14, 0.41, 0.56))
        axes.barh(range(3), lengths, 0.6, color=[OTHER, COLOURS["sat"], COLOURS["tat"]])
        for place, (length, word) in enumerate(zip(lengths, words, strict=True)):
            axes.text(max(length, 0), place, f" {word}", va="center")
        axes.axvline(0, color=MUTED, lw=0.8)
        axes.set(xlim=xlim, ylim=(2.5, -0.5))
        axes.set_axis_off()
        axes.set_title(title)
    for place, title in enumerate(TITLES):
        figure.axes[0].text(0, place, f"{title}  ", ha="right", va="center")
    said = "; ".join(
        f"{title}: {term}, {share} of the gradient"
        for title, term, share in zip(TITLES, sums, percent, strict=True)
    )
    return attach(figure, said, weights=weights, terms=terms, shares=shares, norms=pull.norms)
