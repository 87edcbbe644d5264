"""When transfer helps: gains against one property of the generated clips, and against what the
teacher's attention says, with real sets on the same axes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from statkit.experiments.conditions import Summary
from statkit.experiments.knobs import DEFAULTS, VALUES, runs_of
from statkit.experiments.results import Result, differences, values_of
from statkit.experiments.rows import TITLES
from statkit.lowres import to_low_res
from statkit.sampling import segment_indices

from . import style
from .resolutions import draw_means
from .style import GROUND, INK, MUTED, OTHER, WIDTH

HEIGHT = 3.7
LABELS = {
    "scene": "scene: how far the background reveals the class",
    "actor": "actor: height, as a factor",
    "idle": "idle: share of the clip without the action",
    "clutter": "clutter: bars and moving shapes, as a factor",
    "clips": "clips: training clips",
}
AXES = {
    "gap": "gap: teacher - plain student (points)",
    "specific": "specific: distance of the teacher's maps from their mean",
    "spread": "spread of the teacher's temporal weights between clips",
    "pixels": "linear model on the pixels of one LR frame (per cent)",
}
MARKS = {  # of a real set, and of a condition's network or knob
    "real": ("D", "#D55E00"),
    "ResNet-18": ("s", "#0072B2"),
    "default": ("*", INK),
    "scene": ("o", "#009E73"),
    "actor": ("^", "#E69F00"),
    "idle": ("v", "#CC79A7"),
    "clutter": ("P", "#56B4E9"),
    "clips": ("X", OTHER),
}
MEASURES = {
    "from_blind": ("maps, from blind", "#0072B2", "--"),
    "specific": ("maps, specific", "#0072B2", "-"),
    "spread": ("weights, spread", "#CC79A7", "-"),
    "in_action": ("weights in the action", "#CC79A7", "--"),
}


@style.drawing
def draw_film(frames: np.ndarray, masks: np.ndarray, interval: tuple[int, int]) -> Figure:
    """A generated clip, uint8 ``[T, H, W, 3]``, in HR and in 12x16 pixels, eight frames of it, and
    what its knobs changed: which frames show the action (the interval's first, and last + 1), and
    how much of the frame is the actor (its mask, bool ``[T, H, W]``)."""
    shown = segment_indices(len(frames), 8)[:, 0]
    low, aspect = to_low_res(frames[shown], (12, 16)), frames.shape[2] / frames.shape[1]
    tall = style.strip_height(len(shown), aspect)
    page, (first, second) = style.new_page([tall, tall], top=0.62, space=0.1, bottom=0.43)
    titles = ["action" if interval[0] <= t < interval[1] else "idle" for t in shown]
    style.draw_strip(page, frames[shown], "HR", first, titles)
    style.draw_strip(page, low, "12×16", second)
    share, acts = float(masks.mean()), (interval[1] - interval[0]) / len(frames)
    words = f"actor: {share:.1%} of the pixels; action: {acts:.0%} of the frames"
    page.text(WIDTH / 2, 2 * tall + 0.95, words, ha="center")
    style.add_mark(page.figure)
    about = {"frames": frames[shown], "low": low, "on_actor": share, "in_action": acts}
    return style.attach(page.figure, f"A generated clip, {words}.", **about)


@style.drawing
def draw_knob(runs: Sequence[Result], knob: str, *, value: float | None = None) -> Figure:
    """One knob: prec@1, gains over the plain student, and what the teacher's attention says, as
    :func:`draw_means` draws them over the seeds, at places of equal distances. The knob is a name
    of :data:`statkit.experiments.knobs.VALUES`; one value can be marked."""
    here, values = runs_of(runs, knob), VALUES[knob]
    conditions = [here.get(value, []) for value in values]
    tall = HEIGHT + 0.55  # the legends stand below the axes, where they hide no mark
    figure = style.new_figure(tall)
    style.add_headline(figure, LABELS[knob])
    style.add_mark(figure)
    panels = [
        figure.add_axes(((0.55 + k * 3.0) / WIDTH, 1.17 / tall, 2.35 / WIDTH, 2.55 / tall))
        for k in range(3)
    ]
    arrays: dict[str, np.ndarray] = {"values": np.array(values, float)}
    places = np.arange(len(values))
    for row in ("teacher", "student", "stat"):
        columns = [list(values_of(runs, row).values()) for runs in conditions]
        arrays[row] = draw_means(panels[0], places, columns, TITLES[row], style.colour_of(row))
    for order, row in enumerate(("sat", "tat", "stat")):
        columns = [list(differences(runs, row).values()) for runs in conditions]
        beside, title = places + 0.09 * (order - 1), f"{TITLES[row]} - student"
        arrays[f"{row}_gain"] = draw_means(panels[1], beside, columns, title, style.colour_of(row))
    for name, about in MEASURES.items():
        found = [values_of(runs, "teacher", name).values() for runs in conditions]
        columns = [[one for one in column if one is not None] for column in found]
        arrays[name] = draw_means(panels[2], places, columns, *about)
    panels[1].axhline(0, color=MUTED, lw=0.8)
    default = f"default {DEFAULTS[knob]:g}"
    for axes, words in zip(panels, ("prec@1 (per cent)", "gain (points)", ""), strict=True):
        axes.set_xticks(range(len(values)), [f"{one:g}" for one in values])
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.set_ylabel(words, fontsize=8, labelpad=1)
        axes.tick_params(labelsize=8)
        if value in values:
            axes.axvspan(values.index(value) - 0.4, values.index(value) + 0.4, color=GROUND)
        if axes.get_legend_handles_labels()[0]:
            about = {"loc": "upper center", "bbox_to_anchor": (0.47, -0.16), "columnspacing": 0.8}
            axes.legend(fontsize=7, ncols=2, handlelength=1.5, **about)
        axes.set_xlabel(f"{knob} ({default})", fontsize=8, labelpad=1)
    panels[0].set_ylim(0, 100)
    panels[2].set_ylim(0, 1)
    panels[2].set_title("the teacher's attention (test clips)", fontsize=8)
    gains = ["not measured" if g != g else f"{g:+.1f}" for g in arrays["stat_gain"]]
    said = "; ".join(f"{one:g}: {gain}" for one, gain in zip(values, gains, strict=True))
    alt = f"Gain of SAT+TAT in points by {knob} ({default}): {said}."
    return style.attach(figure, alt, **arrays)


@style.drawing
def draw_sets(
    conditions: Sequence[Summary], real: Sequence[Summary], *, across: str = "specific"
) -> Figure:
    """The gain of SAT+TAT against one property, ``across``, a name of :data:`AXES`: a mark per
    condition of the knob experiment (generated clips) and real set, with the 95 % interval where
    there are several runs. A condition's mark tells its knob, and the number its value; conditions
    with a larger network than the demo's have a mark of their own. Sets in which property or gain
    is not known are left out."""
    figure = style.new_figure(HEIGHT)
    axes = figure.add_axes((0.08, 0.6 / HEIGHT, 0.72, 2.8 / HEIGHT))
    arrays: dict[str, np.ndarray] = {}
    larger = [one for one in conditions if one.backbone == "resnet18"]
    groups = {"real": list(real), "ResNet-18": larger}
    for one in conditions:
        if one not in larger:
            groups.setdefault(one.name.partition("=")[0], []).append(one)
    words = {"real": lambda one: one.name, "ResNet-18": lambda one: ""}
    names, places = [], []
    for group, sets in groups.items():
        name_of = words.get(group, lambda one: one.name.partition("=")[2])
        known = [one for one in sets if one.gain and np.isfinite(one.features[across])]
        at = np.array([one.features[across] for one in known])
        gains = np.array([one.gain.mean for one in known])
        bars = [one.gain.half_width if one.gain.runs > 1 else 0 for one in known]
        arrays |= {f"{group}_{across}": at, f"{group}_gain": gains}
        marker, colour = MARKS[group]
        about = {"marker": marker, "color": colour, "label": f"{group} ({len(known)})"}
        axes.errorbar(at, gains, yerr=bars, ls="", capsize=2, ms=7, elinewidth=1, **about)
        places += zip(at, gains, strict=True)
        names += [name_of(one) for one in known]
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.margins(x=0.15)
    axes.set(xlabel=AXES[across], ylabel="gain of SAT+TAT (points)")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    _name_marks(axes, names, np.array(places))
    count = {group: len(arrays[f"{group}_gain"]) for group in groups}
    generated = sum(count.values()) - count["real"]
    about = f"{generated} conditions of generated clips and {count['real']} real sets"
    alt = f"Gain of SAT+TAT against {AXES[across]}; {about}."
    return style.attach(figure, alt, **arrays)


def _name_marks(axes: Axes, names: Sequence[str], places: np.ndarray) -> None:
    """Write each name beside its mark: at the first of four corners where it covers no other mark
    and no other name, else nowhere. ``places`` float ``[N, 2]``, in the data's units."""
    marks = axes.transData.transform(places) * 72 / axes.figure.dpi  # in points
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in marks]
    for (x, y), mark, name in zip(places, marks, names, strict=True):
        wide, tall = 0.62 * 7 * len(name), 7
        for right, up in ((True, True), (False, True), (True, False), (False, False)):
            away = (5 if right else -5, 4 if up else -4 - tall)
            left, low = mark[0] + away[0] - (0 if right else wide), mark[1] + away[1]
            box = (left, low, left + wide, low + tall)
            if name and not any(
                a[0] < box[2] and box[0] < a[2] and a[1] < box[3] and box[1] < a[3] for a in taken
            ):
                taken.append(box)
                side = {"ha": "left" if right else "right", "va": "bottom", "fontsize": 7}
                axes.annotate(name, (x, y), away, textcoords="offset points", color=INK, **side)
                break
