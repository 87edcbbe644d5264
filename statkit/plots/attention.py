"""Figure 5: where and when the teacher, the plain student and the improved student look."""

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure

from statkit.evaluation import Prediction

from . import style


@style.drawing
def draw_attention(
    looks: dict[str, Prediction], titles: dict[str, str], *, block: int = 4, overlay: float = 0.6
) -> Figure:
    """Three rows a network: its frames, the map of one block, 1 to 4, over them, its temporal
    attention as bars. All ``looks`` are at the same clip."""
    segments, height, width = next(iter(looks.values())).frames.shape[:3]
    row = style.strip_height(segments, width / height)
    page, boxes = style.new_page([row, row, 0.5] * len(looks), top=0.35, space=0.1, bottom=0.25)
    highest = max(1.5 / segments, *(look.weights.max() for look in looks.values()))
    arrays, said = {}, []
    for key, look in looks.items():
        (frames, where, when), boxes = boxes[:3], boxes[3:]
        maps, sure = look.maps[block - 1], f"({100 * look.probability:.0f} %)"
        style.draw_strip(page, look.frames, f"{titles[key]}\nsays {look.answer}\n{sure}", frames)
        laid = over_frames(look.frames, maps, overlay)
        style.draw_strip(page, laid, f"where\n(block {block})", where)
        label = "when" + style.GREY * (look.inside is not None)
        about = {"highest": highest, "colour": style.colour_of(key), "action": look.inside}
        style.draw_weights(page, look.weights, label, when, **about)
        arrays |= {f"{key}_map": maps, f"{key}_weights": look.weights}
        most = f"most weight on interval {look.weights.argmax() + 1} of {segments}"
        said.append(f"{titles[key]} says {look.answer} {sure}, {most}")
    alt = (
        f"{'; '.join(said)}. For each: {segments} frames of the clip, the attention of residual "
        f"block {block} over them (share of the map {overlay:.0%}), and the weights as bars."
    )
    return style.attach(page.figure, alt, **arrays)


def over_frames(frames: np.ndarray, maps: np.ndarray, overlay: float) -> np.ndarray:
    """Maps ``[K, h, w]`` in colour over grey frames ``[K, H, W, 3]``, each map from its own least
    (dark) to its own greatest value (bright)."""
    large = F.interpolate(torch.from_numpy(maps)[:, None], frames.shape[1:3], mode="bilinear")
    large = large[:, 0].numpy()
    low, high = large.min((1, 2), keepdims=True), large.max((1, 2), keepdims=True)
    shade = np.rint(255 * (large - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)
    grey = (1 - overlay) * frames.mean(-1, keepdims=True)
    return grey + (overlay * colormaps[style.MAPS](np.arange(256))[:, :3].astype(np.float32))[shade]
