"""Figure 2: where each residual block looks, in high and in low resolution, and how much of that is
on the actor."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from . import style
from .attention import over_frames
from .style import GAP, INK, LEFT, MUTED


@style.drawing
def draw_spatial_attention(
    frames: dict[str, np.ndarray],
    maps: dict[str, Sequence[np.ndarray]],
    titles: dict[str, str],
    *,
    block: int = 4,
    overlay: float = 0.6,
    actor: np.ndarray | None = None,
) -> Figure:
    """A row a network: what it sees of one frame and a map a block; below, one block at large.

    Args:
        frames: network -> float ``[H, W, 3]`` in 0..1, what it sees; of any size each.
        maps: network -> four maps ``[h, w]``, Equation 1 of its blocks.
        block: 1 to 4, which block is shown at large.
        actor: bool ``[H, W]``, its pixels, outlined in the large pictures.
    """
    size = max(frame.shape[:2] for frame in frames.values())
    aspect = size[1] / size[0]
    heights = [style.strip_height(n, aspect) for n in [5] * len(frames) + [len(frames)]]
    page, boxes = style.new_page(heights, top=0.55, space=0.25, bottom=0.4)
    chosen, arrays = [], {}
    for (key, frame), box in zip(frames.items(), boxes, strict=False):
        seen = style.enlarge(frame, size)[None]
        laid = [over_frames(seen, values[None], overlay)[0] for values in maps[key]]
        words = ["what it sees"]
        words += [f"Res{i}: {h}×{w}" for i, (h, w) in enumerate(map(np.shape, maps[key]), 1)]
        style.draw_strip(page, [seen[0], *laid], titles[key], box, words)
        chosen.append(laid[block - 1])
        arrays |= {f"{key}_res{i}": values for i, values in enumerate(maps[key], 1)}
    label = f"Res{block}" + ("\nwhite: the\nactor's outline" if actor is not None else "")
    style.draw_strip(page, chosen, label, boxes[-1], [titles[key] for key in frames])
    if actor is not None:
        left, right, bottom, top = boxes[-1]
        gap = np.zeros((len(actor), round(actor.shape[1] * GAP)), bool)
        mask = np.concatenate([actor, gap] * len(chosen), 1)  # on every image of the strip
        x = left + (np.arange(mask.shape[1]) + 0.5) / mask.shape[1] * (right - left)
        y = top + (np.arange(len(mask)) + 0.5) / len(mask) * (bottom - top)
        page.contour(x, y, mask, levels=[0.5], colors="white", linewidths=1)
    note = "each map from its own least value (dark) to its own greatest (bright)"
    page.text(LEFT, boxes[-1][2] + 0.3, note, fontsize=8, color=MUTED)
    alt = (
        f"For {', '.join(titles[key] for key in frames)}: one frame and the attention "
        f"of residual blocks 1 to 4 over it; block {block} at large below."
    )
    return style.attach(page.figure, alt, **arrays)


@style.drawing
def draw_actor_scores(
    scores: dict[str, np.ndarray], ideals: dict[str, Sequence[float]], titles: dict[str, str]
) -> Figure:
    """How much of each block's attention is on the actor, over all test frames: network ->
    ``[4, N]``, :func:`statkit.evaluation.attention_on_actor`; and the mean of the ideal, a map that
    is the actor's outline itself, a block."""
    figure = style.new_figure(3.9)
    axes = figure.add_axes((0.08, 0.14, 0.9, 0.74))
    width = 0.8 / len(scores)
    arrays, said = {}, []
    for place, (key, values) in enumerate(scores.items()):
        colour = style.colour_of(key)
        at = np.arange(4) + (place - (len(scores) - 1) / 2) * width
        known = [block[np.isfinite(block)] for block in values]
        means = np.array([block.mean() for block in known])
        about = {"positions": at, "widths": 0.8 * width, "whis": (5, 95), "label": titles[key]}
        about |= dict.fromkeys(("whiskerprops", "capprops"), {"color": colour})
        about |= {"medianprops": {"color": INK}, "showfliers": False, "patch_artist": True}
        about |= {"boxprops": {"facecolor": colour, "alpha": 0.55, "edgecolor": colour}}
        boxes = axes.boxplot(known, **about)
        ideal = axes.hlines(ideals[key], at - 0.4 * width, at + 0.4 * width, colors=INK, ls=":")
        for x, mean, cap in zip(at, means, boxes["caps"][1::2], strict=True):
            axes.text(x, cap.get_ydata()[0], f"{mean:.2f}", ha="center", va="bottom", fontsize=8)
        arrays |= {f"{key}_scores": values, f"{key}_ideal": ideals[key]}
        said.append(f"{titles[key]} {', '.join(f'{mean:.2f}' for mean in means)}")
    ideal.set_label("the actor's outline as map")
    axes.axhline(1, color=MUTED, lw=1)
    axes.text(-0.52, 1, "uniform map", fontsize=8, color=MUTED, va="bottom")
    axes.set_xticks(range(4), [f"Res{i}" for i in range(1, 5)])
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(xlim=(-0.55, 3.55), ylabel="attention on the actor / mean of the frame")
    figure.legend(loc="upper center", ncols=len(scores) + 1)
    alt = f"Mean attention on the actor over that in the frame, blocks 1 to 4: {'; '.join(said)}."
    return style.attach(figure, alt, **arrays)
