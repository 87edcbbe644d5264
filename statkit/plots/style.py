"""What all figures share: sizes, colours that colour-blind readers can tell apart, the mark on
generated clips, and the arrays that a figure shows."""

import re
import textwrap
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps

import numpy as np
from matplotlib import rc_context, rcParams, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

POINTS = 72  # in an inch
WIDTH = 9.0  # inches; a figure then reads at the width of a page
LEFT, RIGHT = 1.25, 0.99 * WIDTH  # inches; labels stand left of LEFT
LONGEST = 15  # letters of a line that fit there
LEAST = 0.005  # shares below it have no number: it would say 0 %, and texts take most of the time
GAP = 0.04  # between the images of a strip, as a share of their width
MAPS = "inferno"  # attention: dark is little, bright is much
INK, MUTED = "#222222", "#707070"
GROUND = "#e4e4e4"  # under what belongs to the true action
GREY = "\n(grey: action)"  # in the label of a row with such a ground
# Okabe and Ito's palette.
COLOURS = {
    "teacher": "#0072B2",
    "student": "#D55E00",
    "sat": "#E69F00",
    "tat": "#56B4E9",
    "stat": "#009E73",
}
OTHER = "#999999"

Box = tuple[float, float, float, float]  # left, right, bottom, top in the units of an axes

# Fonts with letters that DejaVu lacks; those that are installed are used.
OTHER_LETTERS = (
    *("Noto Sans CJK JP", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil"),
    *("Noto Sans Thai", "Noto Sans", "Droid Sans Fallback", "WenQuanYi Zen Hei", "IPAGothic"),
    *("Hiragino Sans", "Arial Unicode MS", "Yu Gothic", "Microsoft YaHei", "Nirmala UI"),
)

INSTALLED = {font.name for font in fontManager.ttflist}
# What most figures have: words, legends, axes below and at the left, images with their pixels; and
# texts as they are: "$" is no mathematics in a file's or a class's name.
HOUSE = {"font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.titlesize": 10}
HOUSE |= {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
HOUSE |= {"image.interpolation": "nearest", "image.aspect": "auto", "text.parse_math": False}
HOUSE |= {"font.family": ["DejaVu Sans", *(name for name in OTHER_LETTERS if name in INSTALLED)]}
# Settings that change no picture.
NO_LOOK = ("backend", "interactive", "toolbar", "timezone", "savefig.directory", "tk.", "webagg.")


def same_everywhere() -> AbstractContextManager:
    """Matplotlib's own settings and ``HOUSE`` instead of those of the user's ``matplotlibrc``."""
    ours = {**rcParamsDefault, **HOUSE}
    looks = [name for name in ours if not name.startswith(NO_LOOK)]
    return rc_context({name: ours[name] for name in looks if rcParams[name] != ours[name]})


def drawing(draw: Callable[..., Figure], mark: str = "generated clips") -> Callable[..., Figure]:
    """Decorate a function that draws a figure: it runs with :func:`same_everywhere` and takes
    ``headline``, words above the figure and before its alt text, and ``generated``, whether the
    figure gets the mark."""

    @wraps(draw)
    def drawn(*arguments, headline: str = "", generated: bool = False, **options) -> Figure:
        with same_everywhere():
            figure = draw(*arguments, **options)
            if headline:
                add_headline(figure, headline)
                figure.alt = f"{headline}. {figure.alt}"
            if generated:
                add_mark(figure, mark)
        return figure

    return drawn


def add_headline(figure: Figure, words: str) -> None:
    """Words above the whole figure."""
    figure.text(0.5, 1 - 0.22 / figure.get_figheight(), words, ha="center", fontsize=11)


def add_mark(figure: Figure, words: str = "generated clips") -> None:
    """The origin of the clips, in the lower right corner."""
    low = 0.06 / figure.get_figheight()
    figure.text(0.995, low, words, ha="right", fontsize=8, color=MUTED)


def new_figure(height: float) -> Figure:
    """An empty figure of page width; height in inches."""
    return Figure(figsize=(WIDTH, height), dpi=100)


def new_page(
    heights: Sequence[float], *, top: float, space: float = 0, bottom: float
) -> tuple[Axes, list[Box]]:
    """The one invisible axes of a new figure, all over it, in inches from its top left corner, and
    a box for each row, for :func:`draw_strip`: one under the other, room for labels to their left.
    An axes costs more to make than the strips and bars in it: a figure behind sliders has one."""
    ends = (np.cumsum(np.add(heights, space)) + top - space).tolist()
    height = ends[-1] + bottom
    page = new_figure(height).add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    page.set_axis_off()
    return page, [(LEFT, RIGHT, end, end - tall) for end, tall in zip(ends, heights, strict=True)]


def add_axes(page: Axes, box: Box) -> Axes:
    """New axes in the place of a box of the page."""
    (left, right, bottom, top), height = box, page.figure.get_figheight()
    corner = left / WIDTH, 1 - bottom / height
    return page.figure.add_axes((*corner, (right - left) / WIDTH, (bottom - top) / height))


def attach(figure: Figure, alt: str, **arrays: np.ndarray) -> Figure:
    """Hang the arrays that a figure shows, and its description in words, on the figure."""
    figure.shown = {name: np.asarray(values) for name, values in arrays.items()}
    figure.alt = alt
    return figure


def strip_height(count: int, aspect: float) -> float:
    """Inches that a strip of ``count`` images of this aspect (width over height) takes."""
    return (RIGHT - LEFT) / (count * aspect * (1 + GAP))


def draw_strip(
    page: Axes, images: Sequence[np.ndarray], label: str, box: Box, titles: Sequence = ()
) -> None:
    """Images ``[h, w, 3]``, uint8 or float in 0..1, side by side in a box, pixels as they are; the
    label to the left, a title above each."""
    left, right, bottom, top = box
    height, width = images[0].shape[:2]
    times = -(-int(1 / GAP) // width)  # pixels are repeated until the white gap is right
    gap = np.full((height * times, round(width * times * GAP), 3), 255, np.uint8)
    parts = []
    for image in images:
        image = image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)
        parts += [image.repeat(times, 0).repeat(times, 1), gap]
    page.imshow(np.concatenate(parts, 1), extent=box)
    above = top + 0.04 * (top - bottom)
    for place, title in zip(strip_centres(len(titles), left, right), titles, strict=True):
        page.text(place, above, title, ha="center")
    label_row(page, label, box)


def draw_weights(
    page: Axes,
    weights: np.ndarray,
    label: str,
    box: Box,
    *,
    highest: float,
    colour: str,
    action: np.ndarray | None = None,
    expected: np.ndarray | None = None,
) -> None:
    """The temporal attention ``[K]`` in per cent, as bars under the frames of a strip.

    Args:
        highest: a bar of this weight leaves just room for its number.
        action: bool ``[K]``, where the true action is: a grey ground.
        expected: ``[K]``, what the weights would be otherwise: dashes.
    """
    left, right, bottom, top = box
    places = strip_centres(len(weights), left, right)
    step, unit = (right - left) / len(places), (top - bottom) / (1.45 * highest)
    if action is not None:
        grounds = [(place - step / 2, step) for place in places[action]]
        page.broken_barh(grounds, (bottom, top - bottom), color=GROUND, lw=0)
    label_row(page, label, box)
    ends = bottom + weights * unit
    page.vlines(places, bottom, ends, lw=0.5 * step * POINTS, color=colour)
    if expected is not None:
        levels = bottom + expected * unit
        page.hlines(levels, places - 0.4 * step, places + 0.4 * step, colors=INK, ls="--")
    page.hlines(bottom, left, right, lw=0.8, color=INK)
    for place, end, weight in zip(places, ends, weights, strict=True):
        if weight >= LEAST:
            page.text(place, end - 0.02, f"{100 * weight:.0f} %", ha="center", fontsize=8)


def strip_centres(count: int, left: float, right: float) -> np.ndarray:
    """Where the middles of the ``count`` images of a strip from left to right are."""
    step = (right - left) / max(1, count)
    return left + step * (np.arange(count) + 0.5 / (1 + GAP))


def enlarge(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``[h, w, ...]`` -> ``[H, W, ...]`` by repeating pixels, to stand beside an HR image."""
    rows, columns = (np.arange(n) * old // n for n, old in zip(size, image.shape, strict=False))
    return image[rows][:, columns]


def in_lines(text: str, longest: int = LONGEST) -> str:
    """The text in lines of so many letters where its words allow it; a word that is longer, such as
    the class name BodyWeightSquats, goes on in a new line at one of its capitals."""
    lines = []
    for line in text.split("\n"):
        for word in textwrap.wrap(line, longest, break_long_words=False) or [""]:
            parts = re.findall(r"[A-Z]*[^A-Z]+|[A-Z]+", word) if len(word) > longest else [word]
            lines.append("")
            for part in parts:
                if lines[-1] and len(lines[-1] + part) > longest:
                    lines.append("")
                lines[-1] += part
    return "\n".join(lines)


def colour_of(row: str) -> str:
    """The colour of a row or a network; grey when it has none of its own."""
    return COLOURS.get(row, OTHER)


def label_row(page: Axes, text: str, box: Box) -> None:
    """Words to the left of a box."""
    left, right, bottom, top = box
    place = left - 0.012 * (right - left), (bottom + top) / 2
    page.text(*place, in_lines(text), ha="right", va="center")
