"""What all figures share: sizes, colours that colour-blind readers can tell apart, the mark on
generated clips, and the arrays that a figure shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 9.0  # inches; a figure then reads at the width of a page
GAP = 0.04  # between the images of a strip, as a share of their width
MAPS = "inferno"  # attention: dark is little, bright is much
INK, MUTED = "#222222", "#777777"
# Okabe and Ito's palette.
COLOURS = {"teacher": "#0072B2", "student": "#D55E00", "stat": "#009E73"}
OTHER = "#999999"


def new_figure(height: float, *, generated: bool) -> Figure:
    """An empty figure of page width, marked where the clips are generated."""
    figure = Figure(figsize=(WIDTH, height), dpi=100)
    if generated:
        figure.text(0.995, 0.06 / height, "generated clips", ha="right", fontsize=8, color=MUTED)
    return figure


def attach(figure: Figure, alt: str, **arrays: np.ndarray) -> Figure:
    """Hang the arrays that a figure shows, and its description in words, on the figure."""
    figure.shown = {name: np.asarray(values) for name, values in arrays.items()}
    figure.alt = alt
    return figure


def add_rows(figure: Figure, heights: Sequence[float], *, top: float, bottom: float) -> list[Axes]:
    """Axes of full width one under the other, labels to their left; all in inches."""
    total, place, rows = figure.get_figheight(), figure.get_figheight() - top, []
    space = (total - top - bottom - sum(heights)) / max(1, len(heights) - 1)
    for height in heights:
        left = 1.25 / WIDTH
        rows.append(figure.add_axes((left, (place - height) / total, 0.99 - left, height / total)))
        place -= height + space
    return rows


def strip_height(count: int, aspect: float) -> float:
    """Inches that a strip of ``count`` images of this aspect (width over height) takes."""
    return (0.99 * WIDTH - 1.25) / (count * aspect * (1 + GAP))


def draw_strip(
    axes: Axes, images: Sequence[np.ndarray], label: str, *, aspect: float, titles: Sequence = ()
) -> None:
    """Images side by side in one axes, pixels as they are, whatever their resolution.

    Args:
        images: ``[h, w, 3]``, uint8 or float in 0..1. aspect: width over height of each, as shown.
    """
    step = aspect * (1 + GAP)
    axes.imshow(
        _side_by_side(images),
        extent=(0, len(images) * step, 0, 1),
        interpolation="nearest",
        aspect="auto",
    )
    for place, title in enumerate(titles):
        axes.text(place * step + aspect / 2, 1.04, title, ha="center", fontsize=9, color=INK)
    axes.set_axis_off()
    label_row(axes, label)


def _side_by_side(images: Sequence[np.ndarray]) -> np.ndarray:
    """One picture of all, white between; enlarged by repeating pixels until the gap is right."""
    height, width = images[0].shape[:2]
    times = -(-int(1 / GAP) // width)
    gap = np.full((height * times, round(width * times * GAP), 3), 255, np.uint8)
    parts = []
    for image in images:
        image = image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)
        parts += [image.repeat(times, 0).repeat(times, 1), gap]
    return np.concatenate(parts, 1)


def label_row(axes: Axes, text: str) -> None:
    """Words to the left of a row."""
    axes.text(
        -0.012, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=9, color=INK
    )
