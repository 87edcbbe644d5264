"""When transfer helps: gains against one property of the generated clips, and against what the
teacher's attention says, with real sets on the same axes."""

from collections.abc import Sequence

import numpy as np
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
    there are several runs; conditions with a larger network than the demo's have a mark of their
    own, without names. Sets in which property or gain is not known are left out."""
    figure = style.new_figure(HEIGHT)
    axes = figure.add_axes((0.08, 0.6 / HEIGHT, 0.9, 2.8 / HEIGHT))
    arrays: dict[str, np.ndarray] = {}
    larger = [one for one in conditions if one.backbone == "resnet18"]
    for name, title, sets, marker, colour, ink in (
        ("generated", "generated", [c for c in conditions if c not in larger], "o", OTHER, MUTED),
        ("resnet18", "generated, ResNet-18", larger, "s", "#0072B2", None),
        ("real", "real", real, "D", "#D55E00", INK),
    ):
        known = [one for one in sets if one.gain and np.isfinite(one.features[across])]
        at = np.array([one.features[across] for one in known])
        gains = np.array([one.gain.mean for one in known])
        bars = [one.gain.half_width if one.gain.runs > 1 else 0 for one in known]
        arrays |= {f"{name}_{across}": at, f"{name}_gain": gains}
        about = {"marker": marker, "color": colour, "label": f"{title} ({len(known)})"}
        axes.errorbar(at, gains, yerr=bars, ls="", capsize=2, ms=6, **about)
        about = {"textcoords": "offset points", "fontsize": 7, "color": ink}
        side, away = ("right", (-7, -3)) if name == "real" else ("left", (6, 5))
        for *place, one in zip(at, gains, known if ink else (), strict=False):
            axes.annotate(one.name, place, away, ha=side, **about)
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.margins(x=0.15)
    axes.set(xlabel=AXES[across], ylabel="gain of SAT+TAT (points)")
    axes.legend(fontsize=8)
    count = {name: len(arrays[f"{name}_gain"]) for name in ("generated", "resnet18", "real")}
    generated = count["generated"] + count["resnet18"]
    about = f"{generated} conditions of generated clips and {count['real']} real sets"
    alt = f"Gain of SAT+TAT against {AXES[across]}; {about}."
    return style.attach(figure, alt, **arrays)
