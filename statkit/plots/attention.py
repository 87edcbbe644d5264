"""Figure 5: where and when the teacher, the plain student and the improved student look."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation import Look
from .style import (
    COLOURS,
    GAP,
    INK,
    MAPS,
    OTHER,
    add_rows,
    attach,
    draw_strip,
    label_row,
    new_figure,
    strip_height,
)


def draw_attention(
    looks: dict[str, Look],
    titles: dict[str, str],
    *,
    block: int = 4,
    overlay: float = 0.6,
    headline: str = "",
    generated: bool = False,
) -> Figure:
    """Three rows a network: its frames, a block's map over them, its temporal attention as bars.

    Args:
        looks: what each network says of the same clip, usually teacher, student and stat.
        titles: a name for each.
        block: 1 to 4, which block's map.
        overlay: from 0, the frame alone, to 1, the map alone.
        headline: above all, for instance the true class.
    """
    first = next(iter(looks.values()))
    segments = len(first.weights)
    aspect = first.frames.shape[2] / first.frames.shape[1]
    row = strip_height(segments, aspect)
    heights = [row, row, 0.5] * len(looks)
    figure = new_figure(sum(heights) + 0.09 * len(heights) + 0.6, generated=generated)
    figure.text(0.5, 1 - 0.2 / figure.get_figheight(), headline, ha="center", fontsize=11)
    axes = iter(add_rows(figure, heights, top=0.35, bottom=0.25))
    highest = max(1.5 / segments, *(look.weights.max() for look in looks.values()))
    arrays = {}
    for key, look in looks.items():
        maps = look.maps[block - 1]
        says = f"{titles[key]}\nsays {look.answer}\n({100 * look.probability:.0f} %)"
        draw_strip(next(axes), look.frames, says, aspect=aspect)
        laid = over_frames(look.frames, maps, overlay)
        draw_strip(next(axes), laid, f"where\n(block {block})", aspect=aspect)
        _draw_weights(next(axes), look, highest, COLOURS.get(key, OTHER), aspect)
        arrays |= {f"{key}_map": maps, f"{key}_weights": look.weights}
    alt = (
        f"{headline}. For each of {', '.join(titles[key] for key in looks)}: {segments} frames of "
        f"one clip, the attention of residual block {block} over them, and the weight of each "
        "interval as a bar."
    )
    return attach(figure, alt, **arrays)


def over_frames(frames: np.ndarray, maps: np.ndarray, overlay: float) -> np.ndarray:
    """Maps ``[K, h, w]`` in colour over grey frames ``[K, H, W, 3]``, each map from its own least
    (dark) to its own greatest value (bright)."""
    large = F.interpolate(
        torch.from_numpy(maps)[:, None], frames.shape[1:3], mode="bilinear", align_corners=False
    )[:, 0].numpy()
    low, high = large.min((1, 2), keepdims=True), large.max((1, 2), keepdims=True)
    coloured = colormaps[MAPS]((large - low) / np.maximum(high - low, 1e-12))[..., :3]
    return (1 - overlay) * frames.mean(-1, keepdims=True) + overlay * coloured


def _draw_weights(axes: Axes, look: Look, highest: float, colour: str, aspect: float) -> None:
    """The temporal attention in per cent; a grey ground under the true action where known."""
    step = aspect * (1 + GAP)
    places = np.arange(len(look.weights)) * step + aspect / 2
    if look.inside is not None:
        for place in places[look.inside]:
            axes.axvspan(place - step / 2, place + step / 2, color="#e4e4e4", lw=0)
    axes.bar(places, look.weights, width=0.5 * aspect, color=colour)
    for place, weight in zip(places, look.weights, strict=True):
        axes.text(
            place, weight, f" {100 * weight:.0f} %", ha="center", va="bottom", fontsize=8, color=INK
        )
    axes.set_xlim(0, len(places) * step)
    axes.set_ylim(0, 1.45 * highest)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    label_row(axes, "when" + ("\n(grey: action)" if look.inside is not None else ""))
