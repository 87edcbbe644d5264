"""Figure 3: the temporal attention module's intervals and weights, and what becomes of the weights
when the frames come in another order."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from statkit.sampling import segment_indices

from . import style
from .style import COLOURS, GROUND, INK, LEFT, MUTED, OTHER, RIGHT

TALLEST = 1.1  # inches of a frame in draw_intervals


@style.drawing
def draw_intervals(
    frames: np.ndarray, *, segments: int = 8, shift: int = 0, action: tuple[int, int] | None = None
) -> Figure:
    """A clip, uint8 ``[T, H, W, 3]``, on a line, cut into K intervals (segments): a random frame of
    each, by the seed ``shift``, and the centre frame; and the true action, its first frame and one
    past its last."""
    length, (height, width) = len(frames), frames.shape[1:3]
    span = RIGHT - LEFT
    tall = min(TALLEST, 0.96 * span / segments * height / width)
    page, boxes = style.new_page([tall, 0.45, tall], top=0.35, space=0.175, bottom=0.6)
    borders = np.arange(segments + 1) * length / segments
    half = tall * width / height / span * length / 2
    line = style.add_axes(page, boxes[1])
    arrays = {"borders": borders}
    random = np.random.default_rng(shift)
    for name, words, rng, box, place, mark, row in (
        ("random", "training:\na random frame", random, boxes[0], 0.75, "v", "teacher"),
        ("centre", "evaluation:\nthe centre", None, boxes[2], 0.25, "^", "student"),
    ):
        arrays[name] = chosen = segment_indices(length, segments, rng=rng)[:, 0]
        strip = style.add_axes(page, box)
        for middle, frame in zip(borders[:-1] + length / segments / 2, chosen, strict=True):
            extent = (middle - half, middle + half, 0, 1)
            strip.imshow(frames[frame], extent=extent, interpolation="auto")
        strip.set_xlim(0, length)
        strip.set_axis_off()
        line.plot(chosen + 0.5, np.full(segments, place), mark, c=COLOURS[row])
        style.label_row(page, f"{words}\nof each", box)
    line.vlines(borders, 0, 1, colors=INK, lw=1)
    line.set(xlim=(0, length), ylim=(0, 1), xticks=[], yticks=[])
    line.spines[:].set_visible(True)
    style.label_row(page, "frames" + style.GREY * (action is not None), boxes[1])
    if action is not None:
        line.axvspan(*action, color=GROUND, lw=0)
    note = f"K = {segments} intervals of {length / segments:.3g} frames each, of {length}"
    page.text(LEFT, boxes[2][2] + 0.4, note, fontsize=8, color=MUTED)
    alt = f"A clip of {length} frames cut into {segments} intervals, one frame from each."
    return style.attach(page.figure, alt, **arrays)


@style.drawing
def draw_temporal_attention(
    frames: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    order: np.ndarray,
    *,
    inside: np.ndarray | None = None,
    says: Sequence[str] = ("", ""),
    colour: str = OTHER,
) -> Figure:
    """The K frames of a clip, ``[K, H, W, 3]``, with their weights, as filmed and in another order.

    Args:
        before, after: ``[K]``, temporal attention as filmed and in the other order.
        order: int ``[K]``, which filmed frame is at each place (:mod:`statkit.analysis.orders`).
        inside: bool ``[K]``, which filmed frames show the true action.
        says: what the network answers in either case.
    """
    segments, aspect = len(frames), frames.shape[2] / frames.shape[1]
    row = style.strip_height(segments, aspect)
    page, boxes = style.new_page([row, 0.75] * 2, top=0.6, space=0.23, bottom=0.46)
    highest = max(before.max(), after.max(), 1.5 / segments)
    shown = (
        (np.arange(segments), before, None, "weights" + style.GREY * (inside is not None)),
        (order, after, before[order], "weights\n(dashes: if they\nmoved with the\nframes)"),
    )
    for place, (numbers, weights, expected, label) in enumerate(shown):
        names = [str(number + 1) for number in numbers]
        strip, bars = boxes[2 * place : 2 * place + 2]
        style.draw_strip(page, frames[numbers], says[place], strip, names)
        action = None if inside is None else inside[numbers]
        about = {"highest": highest, "colour": colour, "action": action, "expected": expected}
        style.draw_weights(page, weights, label, bars, **about)
    first, then = (" ".join(f"{value:.2f}" for value in weights) for weights in (before, after))
    alt = f"{segments} frames with weights {first}; "
    alt += f"then frames {', '.join(names)} with weights {then}."
    return style.attach(page.figure, alt, before=before, after=after, order=order)


@style.drawing
def draw_orders(
    overlaps: dict[str, dict[str, tuple[float, float]]],
    profiles: dict[str, dict[str, np.ndarray]],
    titles: dict[str, str],
    *,
    action: np.ndarray | None = None,
) -> Figure:
    """Whether weights go with the frames or stay at their places, over all test clips.

    Args:
        overlaps: order -> network -> mean overlap of the new weights with the old ones, moved with
            their frames and left at their places.
        profiles: network -> name -> ``[K]``, mean weight at each place; two names.
        action: ``[K]``, mean weight at each place of equal weights on the true action.
    """
    lines = [(order, key) for order, networks in overlaps.items() for key in networks]
    height = max(3.2, 0.3 * len(lines) + 1.3)
    figure = style.new_figure(height)
    left = figure.add_axes((0.19, 0.6 / height, 0.3, 1 - 1.1 / height))
    right = figure.add_axes((0.58, 0.6 / height, 0.4, 1 - 1.1 / height))
    arrays, names, said = {}, [], []
    for place, (order, key) in enumerate(lines):
        moved, stayed = arrays[f"{key} {order}"] = overlaps[order][key]
        colour = style.colour_of(key)
        left.plot([moved, stayed], [place, place], color=colour, lw=2, alpha=0.5)
        left.plot(moved, place, "o", color=colour, ms=8)
        left.plot(stayed, place, "s", color="white", mec=colour, mew=1.8, ms=7)
        names.append(f"{order}: {titles[key]}")
        said.append(f"{names[-1]} {moved:.2f} and {stayed:.2f}")
    left.set_yticks(range(len(lines)), names, fontsize=8)
    left.set(xlim=(-0.04, 1.04), ylim=(len(lines) - 0.5, -0.5))
    left.set_xlabel("overlap with the weights as filmed")
    left.set_title("● moved with the frames   □ left in place", fontsize=9)
    left.grid(axis="x", lw=0.3)
    if action is not None:
        right.bar(np.arange(1, len(action) + 1), 100 * action, 0.9, color=GROUND)
        arrays["action"] = action
    styles = (("o-", None), ("s:", "white"))
    for key, named in profiles.items():
        colour = style.colour_of(key)
        for (line, fill), (name, weights) in zip(styles, named.items(), strict=True):
            places = np.arange(1, len(weights) + 1)
            right.plot(places, 100 * weights, line, color=colour, mfc=fill or colour)
            arrays[f"{key} {name}"] = weights
    first = next(iter(profiles.values()))
    words = "   ".join(map(" ".join, zip("●□", first, strict=True)))
    right.set_title(words + ("   grey: action" if action is not None else ""), fontsize=9)
    right.set(xlabel="place (interval)", ylabel="mean weight (per cent)", ylim=(0, None))
    right.set_xticks(range(1, 1 + len(next(iter(first.values())))))
    alt = "Overlap with the old weights, moved with the frames and left in place: "
    return style.attach(figure, f"{alt}{'; '.join(said)}.", **arrays)
