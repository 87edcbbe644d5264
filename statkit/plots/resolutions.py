"""Table 2 as figures: a frame through cameras of several resolutions, and accuracy against them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from statkit.experiments.results import Result
from statkit.lowres import centre_crop, to_low_res

from .against import draw_against
from .style import INK, WIDTH, attach, drawing, new_figure


def pixels(result: Result) -> int:
    """How many pixels a frame has at the run's resolution."""
    height, width = result.resolution.split("x")
    return int(height) * int(width)


draw_resolutions = partial(
    draw_against,
    place_of=pixels,
    tick_of=lambda result: result.resolution.replace("x", "×"),
    label="LR resolution (pixels, log scale)",
)
"""prec@1 and prec@5 against the number of pixels, see :func:`statkit.plots.against.draw_against`"""


@drawing
def draw_cameras(
    image: np.ndarray,
    sizes: Sequence[tuple[int, int]],
    *,
    headline: str = "",
    generated: bool = False,
) -> Figure:
    """One frame as recorded and as cameras of several resolutions see it, side by side.

    Args:
        image: uint8 ``[H, W, 3]``.
        sizes: ``(h, w)`` each, of one aspect ratio.
        headline: above all, for instance the class.
    """
    seen = [centre_crop(image[None], sizes[0])[0]]
    seen += [to_low_res(image[None], size)[0] for size in sizes]
    height, width = sizes[0]
    each = (WIDTH - 0.1) / len(seen)
    tall = (each - 0.08) * height / width
    total = tall + 0.95
    figure = new_figure(total, generated=generated)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set(xlim=(0, WIDTH), ylim=(total, 0))
    page.text(WIDTH / 2, 0.22, headline, ha="center", fontsize=11, color=INK)
    for place, picture in enumerate(seen):
        left, rows, columns = 0.09 + place * each, *picture.shape[:2]
        extent = (left, left + each - 0.08, 0.62 + tall, 0.62)
        page.imshow(picture, extent=extent, interpolation="nearest", aspect="auto")
        words = f"{rows}×{columns}" + (" (HR)" if not place else "")
        page.text(left + each / 2, 0.53, words, ha="center", fontsize=9, color=INK)
    page.set(xlim=(0, WIDTH), ylim=(total, 0))
    names = ", ".join(f"{rows}x{columns}" for rows, columns in sizes)
    alt = f"{headline}: one frame in high resolution and at {names} pixels."
    return attach(figure, alt, **{f"{p.shape[0]}x{p.shape[1]}": p for p in seen})
