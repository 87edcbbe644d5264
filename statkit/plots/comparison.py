"""Table 3 as a figure: prec@1 of each row, with its runs and their spread."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from statkit.experiments.results import Result, estimate, units, values_of

from .style import INK, MUTED, attach, colour_of, drawing, in_lines, new_figure


@drawing
def draw_comparison(results: Sequence[Result], titles: dict[str, str], *, chance: float) -> Figure:
    """A bar a row, a dot a run, the 95 % interval where there are several runs; rows in the order
    of their titles, those without runs left out."""
    found = {row: values_of(results, row) for row in titles}
    rows = [row for row in titles if found[row]]
    height = 0.95 + 0.42 * len(rows)
    figure = new_figure(height)
    axes = figure.add_axes((0.19, 0.6 / height, 0.78, 1 - 0.75 / height))
    means = []
    for place, row in enumerate(rows):
        values, mean = list(found[row].values()), estimate(units(found[row]))
        means.append(mean.mean)
        axes.barh(place, mean.mean, height=0.62, color=colour_of(row), alpha=0.85)
        reach = 0
        if mean.runs > 1:
            reach = mean.half_width
            axes.errorbar(mean.mean, place, xerr=reach, color=INK, capsize=4, lw=1.4)
            axes.plot(values, np.full(len(values), place + 0.18), ".", color=INK, ms=4, alpha=0.6)
        axes.text(mean.mean + reach + 1, place, f"{mean.mean:.1f}", va="center")
    axes.axvline(chance, color=MUTED, ls=":", lw=1)
    axes.text(chance, -0.62, " chance", fontsize=8, color=MUTED, va="center")
    axes.set_yticks(range(len(rows)), [in_lines(titles[row], 20) for row in rows])
    axes.set(xlabel="prec@1 on the test clips (per cent)", xlim=(0, 100))
    axes.set_ylim(len(rows) - 0.5, -0.85)
    said = ", ".join(f"{titles[row]} {mean:.1f}" for row, mean in zip(rows, means, strict=True))
    return attach(figure, f"prec@1 in per cent: {said}.", rows=rows, prec1=means)
