"""Figure 4: what the student copies, and where in the two networks."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from statkit.evaluation import Prediction

from . import style
from .attention import over_frames
from .style import COLOURS, INK, MUTED, OTHER

PICTURE = (0.8, 0.6)  # inches
COLUMNS = (1.45, 2.75, 3.75, 4.75, 5.75, 7.0)  # left ends: frame, four blocks, TAM
ANSWER, NARROW = 8.35, 13  # middle of the last column, and letters of a line in it
LANES = {"teacher": 0.55, "student": 2.25}  # upper ends
TITLES = ("frames", "block 1", "block 2", "block 3", "block 4", "TAM")


@style.drawing
def draw_overview(
    teacher: Prediction, student: Prediction, label: str, *, frame: int = 0
) -> Figure:
    """Two lanes, teacher and student, from one ``frame`` of the K of a clip to the answer; between
    them the three losses, and the true class, ``label``."""
    page, _ = style.new_page([3.3], top=0, bottom=0)
    (width, height), maps = PICTURE, {}
    for row, look, does in (("teacher", teacher, "fixed"), ("student", student, "learns")):
        top = LANES[row]
        middle, bottom = top + height / 2, top + height
        page.text(COLUMNS[0] - 0.2, middle, f"{row}\n({does})", ha="right", va="center")
        own = look.frames[frame : frame + 1]
        pictures = [own[0]] + [over_frames(own, m[frame : frame + 1], 1.0)[0] for m in look.maps]
        for left, picture in zip(COLUMNS, pictures, strict=False):
            page.imshow(picture, extent=(left, left + width, bottom, top))
        left, step = COLUMNS[-1], width / len(look.weights)
        places = left + step * (np.arange(len(look.weights)) + 0.5)
        ends = bottom + look.weights / look.weights.max() * (top - bottom)
        page.vlines(places, bottom, ends, lw=0.7 * step * style.POINTS, color=COLOURS[row])
        page.hlines(bottom, left, left + width, lw=0.8, color=INK)
        for left, end in zip(COLUMNS, [*COLUMNS[1:], ANSWER - 0.42], strict=True):
            _arrow(page, (left + width + 0.03, middle), (end - 0.03, middle), MUTED)
        words = style.in_lines(f"says\n{look.answer}", NARROW)
        page.text(ANSWER, middle, words, ha="center", va="center")
        maps |= {f"{row}_block{i}": values[frame] for i, values in enumerate(look.maps, 1)}
    for left, title in zip(COLUMNS, TITLES, strict=True):
        page.text(left + width / 2, 0.42, title, ha="center")
    between = LANES["teacher"] + height + 0.06, LANES["student"] - 0.06
    losses = {"SAT: Equation 2": COLUMNS[1:5], "TAT: Equation 3": COLUMNS[5:]}
    for words, columns in losses.items():
        colour = COLOURS[words[:3].lower()]
        for left in columns:
            middle = left + width / 2
            _arrow(page, (middle, between[0]), (middle, between[1]), colour, lw=2.5)
        middle = (columns[0] + columns[-1] + width) / 2
        box = {"fc": "white", "ec": colour, "boxstyle": "round"}
        page.text(middle, np.mean(between), words, ha="center", va="center", bbox=box)
    _arrow(page, (ANSWER, between[0] + 0.58), (ANSWER, between[1]), OTHER, lw=2.5)
    words = style.in_lines(f"cross-entropy\n“{label}”", NARROW)
    page.text(ANSWER, between[0] + 0.06, words, ha="center", va="top")
    alt = (
        f"A teacher on HR frames and a student on LR frames of a clip of {label}. Each turns "
        "frames into the attention maps of four blocks, into temporal attention, and an answer. "
        "SAT links the maps of equal blocks, TAT the temporal attention, the cross-entropy the "
        "student's answer and the label."
    )
    return style.attach(page.figure, alt, **maps)


def _arrow(page: Axes, start, end, colour: str, lw: float = 1.2) -> None:
    page.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": lw})
