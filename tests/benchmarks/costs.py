"""Costs side by side: a dot a comparison, on one logarithmic scale."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from statkit.plots.style import INK, MUTED, attach, drawing, new_figure

MET, MISSED, FREE = "#0072B2", "#D55E00", "#777777"
MARKS = {True: ("o", MET), False: ("X", MISSED), None: ("o", FREE)}


@drawing
def draw_costs(lines: Sequence[tuple[str, object]]) -> Figure:
    """Median ratios with their quartiles, and the goals as ticks.

    Args:
        lines: pairs of a letter and a :class:`tests.benchmarks.measure.Comparison`.
    """
    height = 0.95 + 0.24 * len(lines)
    figure = new_figure(height)
    axes = figure.add_axes((0.56, 0.6 / height, 0.36, 1 - 0.85 / height))
    for place, (letter, line) in enumerate(lines):
        mark, colour = MARKS[line.met]
        axes.plot([line.low, line.high], [place, place], color=colour, lw=1.5, alpha=0.7)
        axes.plot(line.ratio, place, mark, color=colour, ms=5)
        if line.goal:
            bound = float(line.goal.rsplit(" ", 1)[1])
            axes.plot([bound, bound], [place - 0.38, place + 0.38], color=INK, lw=1.2)
        words = f"{letter}  {line.what}  /  {line.other}"
        axes.text(
            -0.02,
            place,
            words,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=7,
            color=INK,
        )
        axes.text(
            1.02,
            place,
            f"{line.ratio:.3g}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=7.5,
            color=colour,
        )
    axes.axvline(1, color=MUTED, lw=0.8, ls=":")
    axes.set_xscale("log")
    axes.set_yticks([])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(labelsize=8)
    words = (
        "our cost over the other's (where the goal is a least value: our speed over the other's); "
        "line: quartiles, tick: goal, cross: missed"
    )
    figure.text(0.5, 0.1 / height, words, ha="center", fontsize=7.5, color=MUTED)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    said = "; ".join(f"{letter} {line.what} {line.ratio:.3g}" for letter, line in lines)
    return attach(
        figure,
        f"Ratios of costs: {said}.",
        ratio=[line.ratio for _, line in lines],
        low=[line.low for _, line in lines],
        high=[line.high for _, line in lines],
    )
