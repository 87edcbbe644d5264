"""Table 2 and Section 3.3.1 as figures: a frame as cameras of several resolutions see it, and
accuracy against resolution or labels."""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from statkit.experiments.results import Result, estimate
from statkit.lowres import centre_crop, to_low_res

from .style import MUTED, WIDTH, attach, colour_of, drawing, new_figure, new_page

HEIGHT = 3.6


@drawing
def draw_against(
    results: Sequence[Result],
    titles: dict[str, str],
    place_of: Callable[[Result], float],
    tick_of: Callable[[Result], str],
    *,
    label: str,
    chance: float,
) -> Figure:
    """prec@1 and prec@5, a line a row (:func:`draw_means`).

    Args:
        titles: row -> words, in the order of the legend; other rows are left out.
        place_of: a run's place on the axis, positive; the axis is logarithmic.
        tick_of: what stands under that place. label: of the axis, with its unit.
    """
    results = [result for result in results if result.row in titles]
    rows = [row for row in titles if any(result.row == row for result in results)]
    ticks = dict(sorted((place_of(result), tick_of(result)) for result in results))
    figure = new_figure(HEIGHT)
    arrays = {"places": list(ticks)}
    for number, (measure, guesses) in enumerate({"prec1": 1, "prec5": 5}.items()):
        left = (0.75 + number * WIDTH / 2) / WIDTH
        axes = figure.add_axes((left, 0.75 / HEIGHT, (WIDTH / 2 - 0.95) / WIDTH, 2.55 / HEIGHT))
        for order, row in enumerate(rows):
            # Beside each other, so that intervals do not hide one another.
            shift = 1.04 ** (order - (len(rows) - 1) / 2)
            runs = [result for result in results if result.row == row]
            here = np.unique([place_of(run) for run in runs])
            columns = [[getattr(r, measure) for r in runs if place_of(r) == at] for at in here]
            means = draw_means(axes, here * shift, columns, titles[row], colour_of(row))
            arrays[f"{row}_{measure}"] = means
        axes.set_xscale("log")
        axes.set_xticks(list(ticks), list(ticks.values()), fontsize=8)
        axes.minorticks_off()
        axes.axhline(chance * guesses, color=MUTED, ls=":", lw=1)
        axes.set(xlabel=label, ylabel=f"prec@{guesses} on the test clips (per cent)")
        axes.set(xlim=(min(ticks) / 1.3, max(ticks) * 1.3), ylim=(0, 100))
    axes.legend(loc="lower right")
    about = {"fontsize": 8, "color": MUTED, "ha": "right", "va": "top"}
    figure.axes[0].text(max(ticks) * 1.3, chance - 1, "chance", **about)
    said = ", ".join(
        f"{titles[row]} {' / '.join(f'{value:.1f}' for value in arrays[f'{row}_prec1'])}"
        for row in rows
    )
    alt = f"prec@1 in per cent at {' / '.join(ticks.values())}: {said}."
    return attach(figure, alt, **arrays)


def draw_means(
    axes: Axes,
    places: np.ndarray,
    columns: Sequence[Sequence[float]],
    title: str,
    colour: str,
    line: str = "-",
) -> np.ndarray:
    """A line through the means of the runs at each place, a column each, with the 95 % interval of
    several runs and a dot per run; the marks of a line that is not solid are open. Returns the
    means; NaN where the column is empty."""
    found = [estimate(column) if column else None for column in columns]
    means = np.array([np.nan if one is None else one.mean for one in found])
    bars = [one.half_width if one and one.runs > 1 else np.nan for one in found]
    known = np.isfinite(means)
    if known.any():
        about = {"color": colour, "ls": line, "marker": "o", "ms": 5, "capsize": 3}
        about["mfc"] = colour if line == "-" else "white"
        axes.errorbar(places[known], means[known], np.array(bars)[known], label=title, **about)
    for place, column in zip(places, columns, strict=True):
        axes.plot([place] * len(column), column, ".", color=colour, ms=4, alpha=0.5)
    return means


draw_resolutions = partial(
    draw_against,
    place_of=lambda result: prod(map(int, result.resolution.split("x"))),
    tick_of=lambda result: result.resolution.replace("x", "×"),
    label="LR resolution (pixels, log scale)",
)
"""prec@1 and prec@5 against the number of pixels, see :func:`draw_against`"""


def draw_labels(
    results: Sequence[Result], titles: dict[str, str], *, everyone: int, **about
) -> Figure:
    """Section 3.3.1: :func:`draw_against` labelled clips a class, ``everyone`` where all are."""
    return draw_against(
        results,
        titles,
        place_of=lambda result: result.labelled or everyone,
        tick_of=lambda result: str(result.labelled or everyone),
        label="labelled clips a class (log scale)",
        **about,
    )


@drawing
def draw_cameras(image: np.ndarray, sizes: Sequence[tuple[int, int]]) -> Figure:
    """One frame, uint8 ``[H, W, 3]``, as recorded and as cameras of several resolutions see it,
    ``(h, w)`` each, of one aspect ratio, side by side."""
    seen = [centre_crop(image[None], sizes[0])[0]]
    seen += [to_low_res(image[None], size)[0] for size in sizes]
    height, width = sizes[0]
    each = (WIDTH - 0.1) / len(seen)
    tall = (each - 0.08) * height / width
    page, _ = new_page([tall], top=0.62, bottom=0.33)
    for place, picture in enumerate(seen):
        left, rows, columns = 0.09 + place * each, *picture.shape[:2]
        page.imshow(picture, extent=(left, left + each - 0.08, 0.62 + tall, 0.62))
        words = f"{rows}×{columns}" + (" (HR)" if not place else "")
        page.text(left + each / 2, 0.53, words, ha="center")
    names = ", ".join(f"{rows}x{columns}" for rows, columns in sizes)
    alt = f"One frame in high resolution and at {names} pixels."
    return attach(page.figure, alt, **{f"{p.shape[0]}x{p.shape[1]}": p for p in seen})
