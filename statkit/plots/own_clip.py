"""What the networks are shown of any clip, and what they answer."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from statkit.data.own_clip import OwnClip
from statkit.evaluation import Prediction, best_answers
from statkit.lowres import centre_crop, to_low_res

from . import style
from .style import INK, LEAST, POINTS, WIDTH, Box

BARS = 1.55  # inches, the answers of a network
SHOWN = 6  # frames side by side
ASPECT = 4 / 3


@partial(style.drawing, mark="the networks were trained on generated clips and know nothing else")
def draw_own_clip(
    clip: OwnClip,
    looks: dict[str, Prediction],
    titles: dict[str, str],
    classes: Sequence[str],
    *,
    rows: int = 12,
) -> Figure:
    """A clip in high and in low resolution, and under it each network's five best answers. The LR
    picture has so many rows, as far as the clip has them; the answers are always those of a student
    at its own resolution."""
    which = np.linspace(0, len(clip.whole) - 1, SHOWN).round().astype(int)
    whole = centre_crop(clip.whole[which], (3, 4))
    rows = min(rows, whole.shape[1], whole.shape[2] * 3 // 4)
    size = (rows, round(rows * ASPECT))
    low = to_low_res(clip.whole[which], size)
    strip = style.strip_height(SHOWN, ASPECT)
    page, (above, below) = style.new_page([strip] * 2, top=0.35, space=0.05, bottom=BARS + 0.95)
    style.add_headline(page.figure, f"{clip.name} ({clip.info})")
    style.draw_strip(page, whole, "as recorded\n(3:4 crop)", above)
    style.draw_strip(page, low, f"LR\n{size[0]}×{size[1]}", below)
    answers = {key: best_answers(look.probabilities, classes) for key, look in looks.items()}
    for place, (key, best) in enumerate(answers.items()):
        left, right = ((share + place) * WIDTH / len(looks) for share in (0.12, 0.92))
        box = (left, right, below[2] + 0.5 + BARS, below[2] + 0.5)
        draw_answers(page, best, titles[key], style.colour_of(key), box)
    said = "; ".join(
        f"{titles[key]}: {best[0][0]}, {100 * best[0][1]:.0f} %" for key, best in answers.items()
    )
    alt = f"{clip.name} as recorded and at {size[0]}x{size[1]} pixels. {said}."
    arrays = {f"{key}_probabilities": look.probabilities for key, look in looks.items()}
    return style.attach(page.figure, alt, **arrays)


def draw_answers(
    page: Axes, best: list[tuple[str, float]], title: str, colour: str, box: Box
) -> None:
    """Bars of a network's best answers (:func:`statkit.evaluation.best_answers`) in a box."""
    left, right, bottom, top = box
    places = np.linspace(top, bottom, 2 * len(best) + 1)[1::2]
    ends = left + (right - left) * np.array([sure for _, sure in best])
    thick = 0.8 * (bottom - top) / len(best) * POINTS
    page.hlines(places, left, ends, lw=thick, color=colour, alpha=0.45, capstyle="butt")
    page.plot([left, left, right], [top, bottom, bottom], lw=0.8, color=INK)
    for place, (name, sure) in zip(places, best, strict=True):
        page.text(left + 0.05, place, name, va="center")
        if sure >= LEAST:
            page.text(right - 0.03, place, f"{100 * sure:.0f} %", va="center", ha="right")
    middle, below = (left + right) / 2, "probability, the axis from 0 to 1"
    page.text(middle, top - 0.07, title, ha="center", fontsize=10)
    page.text(middle, bottom + 0.17, below, ha="center", fontsize=8)
