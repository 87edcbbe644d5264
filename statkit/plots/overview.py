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
    """Two lanes, teacher and student, from frame to answer; between them the three losses.

    Args:
        teacher, student: what each says of the same clip.
        label: the true class.
        frame: which of the K frames to show.
    """
    page, _ = style.new_page([3.3], top=0, bottom=0)
    looks = {"teacher": teacher, "student": student}
    names = {"teacher": "teacher\n(fixed)", "student": "student\n(learns)"}
    for row, look in looks.items():
        _draw_lane(page, look, frame, LANES[row], names[row], COLOURS[row])
    for left, title in zip(COLUMNS, TITLES, strict=True):
        page.text(left + PICTURE[0] / 2, 0.42, title, ha="center", fontsize=9, color=INK)
    between = LANES["teacher"] + PICTURE[1] + 0.06, LANES["student"] - 0.06
    losses = {"SAT": COLUMNS[1:5], "TAT": COLUMNS[5:]}
    for name, columns in losses.items():
        colour = COLOURS[name.lower()]
        for left in columns:
            middle = left + PICTURE[0] / 2
            _arrow(page, (middle, between[0]), (middle, between[1]), colour, lw=2.5)
        middle = (columns[0] + columns[-1] + PICTURE[0]) / 2
        words = f"{name}: Equation {2 if name == 'SAT' else 3}"
        box = {"fc": "white", "ec": colour, "boxstyle": "round"}
        page.text(middle, np.mean(between), words, ha="center", va="center", fontsize=9, bbox=box)
    _arrow(page, (ANSWER, between[0] + 0.58), (ANSWER, between[1]), OTHER, lw=2.5)
    words = style.in_lines(f"cross-entropy\n“{label}”", NARROW)
    page.text(ANSWER, between[0] + 0.06, words, ha="center", va="top", fontsize=9)
    alt = (
        f"A teacher on HR frames and a student on LR frames of a clip of {label}. Each turns "
        "frames into the attention maps of four blocks, into temporal attention, and an answer. "
        "SAT links the maps of equal blocks, TAT the temporal attention, the cross-entropy the "
        "student's answer and the label."
    )
    maps = {
        f"{row}_block{i + 1}": look.maps[i][frame] for row, look in looks.items() for i in range(4)
    }
    return style.attach(page.figure, alt, **maps)


def _draw_lane(
    page: Axes, look: Prediction, frame: int, top: float, name: str, colour: str
) -> None:
    width, height = PICTURE
    middle = top + height / 2
    page.text(COLUMNS[0] - 0.2, middle, name, ha="right", va="center", fontsize=9, color=INK)
    boxes = [(left, left + width, top + height, top) for left in COLUMNS]
    own = look.frames[frame : frame + 1]
    pictures = [own[0]] + [over_frames(own, m[frame : frame + 1], 1.0)[0] for m in look.maps]
    for picture, box in zip(pictures, boxes, strict=False):
        style.draw_image(page, picture, box)
    left, right, bottom, _ = boxes[-1]
    step = (right - left) / len(look.weights)
    places = left + step * (np.arange(len(look.weights)) + 0.5)
    ends = bottom + look.weights / look.weights.max() * (top - bottom)
    page.vlines(places, bottom, ends, lw=0.7 * step * style.POINTS, color=colour)
    page.hlines(bottom, left, right, lw=0.8, color=INK)
    ends = [box[0] for box in boxes[1:]] + [ANSWER - 0.42]
    for box, end in zip(boxes, ends, strict=True):
        _arrow(page, (box[1] + 0.03, middle), (end - 0.03, middle), MUTED)
    words = style.in_lines(f"says\n{look.answer}", NARROW)
    page.text(ANSWER, middle, words, ha="center", va="center", fontsize=9)


def _arrow(page: Axes, start, end, colour: str, lw: float = 1.2) -> None:
    page.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": lw})
