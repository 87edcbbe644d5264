"""Figure 5: where and when the teacher, the plain student and the improved student look."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure

from statkit.evaluation import Prediction

from . import style
from .style import MAPS


@style.drawing
def draw_attention(
    looks: dict[str, Prediction],
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
        block: 1 to 4, which block's map.
        overlay: from 0, the frame alone, to 1, the map alone.
    """
    first = next(iter(looks.values()))
    segments = len(first.weights)
    aspect = first.frames.shape[2] / first.frames.shape[1]
    row = style.strip_height(segments, aspect)
    heights = [row, row, 0.5] * len(looks)
    height = sum(heights) + 0.1 * len(heights) + 0.5
    page = style.new_page(height, generated=generated, headline=headline)
    boxes = iter(style.page_boxes(heights, top=0.35, space=0.1))
    highest = max(1.5 / segments, *(look.weights.max() for look in looks.values()))
    arrays = {}
    for key, look in looks.items():
        maps = look.maps[block - 1]
        says = f"{titles[key]}\nsays {look.answer}\n({100 * look.probability:.0f} %)"
        style.draw_strip(page, look.frames, says, aspect=aspect, box=next(boxes))
        laid = over_frames(look.frames, maps, overlay)
        style.draw_strip(page, laid, f"where\n(block {block})", aspect=aspect, box=next(boxes))
        box, colour = next(boxes), style.colour_of(key)
        about = {"highest": highest, "colour": colour, "action": look.inside}
        style.draw_weights(page, look.weights, box, **about)
        style.label_row(page, "when" + ("\n(grey: action)" if look.inside is not None else ""), box)
        arrays |= {f"{key}_map": maps, f"{key}_weights": look.weights}
    alt = (
        f"{headline}. For each of {', '.join(titles[key] for key in looks)}: {segments} frames of "
        f"one clip, the attention of residual block {block} over them, and the weight of each "
        "interval as a bar."
    )
    return style.attach(page.figure, alt, **arrays)


def over_frames(frames: np.ndarray, maps: np.ndarray, overlay: float) -> np.ndarray:
    """Maps ``[K, h, w]`` in colour over grey frames ``[K, H, W, 3]``, each map from its own least
    (dark) to its own greatest value (bright)."""
    large = F.interpolate(
        torch.from_numpy(maps)[:, None], frames.shape[1:3], mode="bilinear", align_corners=False
    )[:, 0].numpy()
    low, high = large.min((1, 2), keepdims=True), large.max((1, 2), keepdims=True)
    shade = np.rint(255 * (large - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)
    grey = (1 - overlay) * frames.mean(-1, keepdims=True)
    return grey + (overlay * _palette())[shade]


@cache
def _palette() -> np.ndarray:
    """float32 ``[256, 3]``."""
    return colormaps[MAPS](np.arange(256))[:, :3].astype(np.float32)
