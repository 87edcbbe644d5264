"""Figure 1: what is left of a frame at extreme low resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..lowres import centre_crop, to_low_res
from .style import add_rows, attach, draw_strip, new_figure, strip_height

ASPECT = 4 / 3


def draw_downsampling(
    clips: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    frame: int = 0,
    height: int = 12,
    blur: float = 0.25,
    noise: float = 2.0,
    seed: int = 0,
    generated: bool = False,
) -> Figure:
    """One frame of some clips, above as recorded, below as the low-resolution camera sees it.

    Args:
        clips: uint8 ``[T, H, W, 3]`` each.
        titles: what to write above each clip.
        frame: number of the frame; a shorter clip shows its last.
        height: rows of the low-resolution sensor; its columns are 4/3 of that.
        blur, noise, seed: see :func:`statkit.lowres.to_low_res`.
    """
    size = (height, round(height * ASPECT))
    whole = [clip[min(frame, len(clip) - 1)][None] for clip in clips]
    high = [centre_crop(image, size)[0] for image in whole]
    low = [to_low_res(image, size, blur=blur, noise=noise, seed=seed)[0] for image in whole]
    row = strip_height(len(clips), ASPECT)
    figure = new_figure(2 * row + 0.65, generated=generated)
    above, below = add_rows(figure, [row, row], top=0.3, bottom=0.25)
    rows, columns = high[0].shape[:2]
    share = 100 * size[0] * size[1] / (rows * columns)
    draw_strip(above, high, f"HR\n{rows}×{columns}", aspect=ASPECT, titles=titles)
    label = f"LR\n{size[0]}×{size[1]}\n{share:.2g} % of\nthe pixels"
    draw_strip(below, low, label, aspect=ASPECT)
    alt = (
        f"Frame {frame} of {len(clips)} clips: above at {rows}x{columns} pixels, below the same at "
        f"{size[0]}x{size[1]}, blur {blur:g} pixels, noise {noise:g} grey levels."
    )
    return attach(figure, alt, high=np.stack(high), low=np.stack(low))
