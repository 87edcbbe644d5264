"""Figure 6: embeddings of several networks as t-SNE pictures, each with numbers that t-SNE cannot
flatter."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from statkit.analysis.embedding import Separation

from .style import MUTED, WIDTH, attach, drawing, new_figure

# Okabe and Ito's palette without its yellow, too light on white; a marker tells repeats apart.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
MARKERS = ("o", "^", "s", "P", "X", "D", "v")
MOST_IN_LEGEND, LEGEND_COLUMNS = 24, 6


def class_style(label: int) -> tuple[str, str]:
    """Colour and marker of a class; alike only 42 classes apart."""
    return PALETTE[label % len(PALETTE)], MARKERS[label // len(PALETTE) % len(MARKERS)]


@drawing
def draw_embeddings(
    maps: dict[str, np.ndarray],
    titles: dict[str, str],
    labels: np.ndarray,
    classes: Sequence[str],
    measured: dict[str, tuple[Separation, Separation]],
    *,
    action: str = "all",
) -> Figure:
    """A panel a network: its t-SNE picture, float ``[N, 2]``, and under it how well the classes
    (labels: int ``[N]``) separate, measured in the original space and in the picture; ``action`` is
    one class to show before all others, or "all"."""
    only = None if action == "all" else list(classes).index(action)
    side = 0.98 * WIDTH / len(maps)
    # No legend where there are too many classes to tell them apart.
    rows = -(-len(classes) // LEGEND_COLUMNS) if len(classes) <= MOST_IN_LEGEND else 0
    legend = 0.18 * rows + 0.14 if rows else 0.1
    height = side + 1.1 + legend
    figure = new_figure(height)
    for place, (key, points) in enumerate(maps.items()):
        left, bottom = 0.01 + 0.98 * place / len(maps), (0.6 + legend) / height
        axes = figure.add_axes((left, bottom, 0.94 / len(maps), (side - 0.1) / height))
        original, picture = measured[key]
        words = (
            f"neighbours name it: {original.nearest:.0f} % (in the picture {picture.nearest:.0f} %)"
            f"\nsilhouette: {original.silhouette:+.2f} (in the picture {picture.silhouette:+.2f})"
        )
        draw_map(axes, points, labels, titles[key], words, only)
    # Matplotlib's own legend takes a third of the time of the whole picture.
    for label, name in enumerate(classes if rows else ()):
        row, column = divmod(label, LEGEND_COLUMNS)
        x, y = 0.03 + 0.97 * column / LEGEND_COLUMNS, (0.3 + 0.18 * (rows - 1 - row)) / height
        colour, marker = class_style(label)
        figure.add_artist(Line2D([x], [y], ls="", color=colour, marker=marker, ms=5))
        figure.text(x + 0.01, y, name, va="center_baseline", fontsize=8)
    said = "; ".join(
        f"{titles[key]} {original.nearest:.0f} per cent" for key, (original, _) in measured.items()
    )
    alt = f"t-SNE pictures; nearest neighbours in the original space name: {said}."
    arrays = maps | {
        f"{key}_{name}": [getattr(part, name) for part in pair]
        for key, pair in measured.items()
        for name in ("nearest", "silhouette")
    }
    return attach(figure, alt, labels=labels, **arrays)


@drawing
def draw_doubts(
    panels: Sequence[tuple[str, np.ndarray, str]], labels: np.ndarray, *, columns: int = 4
) -> Figure:
    """Several pictures of the same points, each ``(title, [N, 2], words under it)``."""
    rows = -(-len(panels) // columns)
    side = 0.98 * WIDTH / columns
    height = rows * (side + 0.45) + 0.25
    figure = new_figure(height)
    for place, (title, points, words) in enumerate(panels):
        row, column = divmod(place, columns)
        left = 0.01 + 0.98 * column / columns
        bottom = (height - (row + 1) * (side + 0.45) + 0.3) / height
        axes = figure.add_axes((left, bottom, 0.93 / columns, (side - 0.12) / height))
        draw_map(axes, points, labels, title, words)
    said = (f"{title}: {words}".rstrip(": ") for title, _, words in panels)
    alt = f"t-SNE pictures: {'; '.join(said)}."
    arrays = {f"map_{place}": points for place, (_, points, _) in enumerate(panels)}
    return attach(figure, alt, labels=labels, **arrays)


def draw_map(
    axes: Axes, points: np.ndarray, labels: np.ndarray, title: str, words: str, only=None
) -> None:
    """Points ``[N, 2]`` in their classes' colours and markers, a title above and words below; all
    points grey but those of the class ``only`` where it is a number."""
    axes.set_title(title)
    axes.set_xlabel(words, fontsize=8)
    size = float(np.clip(6000 / len(points), 2, 14))
    front = np.full(len(points), True) if only is None else labels == only
    axes.scatter(*points[~front].T, s=size, color="#c8c8c8", lw=0)
    colours, markers = np.array([class_style(label) for label in labels]).T
    for marker in np.unique(markers[front]):
        here = front & (markers == marker)
        axes.scatter(*points[here].T, size, colours[here], marker=marker, lw=0, alpha=0.85)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=MUTED, linewidth=0.5)
