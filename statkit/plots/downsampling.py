"""Figure 1: what is left of a frame at extreme low resolution."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from statkit.lowres import centre_crop, to_low_res

from . import style
from .style import COLOURS, INK, MUTED

ASPECT = 4 / 3
KERNELS = {
    "area average": {"mode": "area"},
    "nearest": {"mode": "nearest-exact"},
    "bilinear": {"mode": "bilinear"},
    "bilinear, antialias": {"mode": "bilinear", "antialias": True},
    "bicubic, antialias": {"mode": "bicubic", "antialias": True},
}
"""Ways to shrink a picture: names, and what they are to ``torch.nn.functional.interpolate``."""
SIGNED, REACH = "PuOr", 64  # colours of a signed difference, and the grey levels at their ends


@style.drawing
def draw_downsampling(
    clips: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    frame: int = 0,
    height: int = 12,
    blur: float = 0.25,
    noise: float = 2.0,
    seed: int = 0,
) -> Figure:
    """One frame of some clips, above as recorded, below as the low-resolution camera sees it.

    Args:
        clips: uint8 ``[T, H, W, 3]`` each.
        frame: number of the frame; a shorter clip shows its last.
        height: rows of the low-resolution sensor; its columns are 4/3 of that.
        blur, noise, seed: see :func:`statkit.lowres.to_low_res`.
    """
    size = (height, round(height * ASPECT))
    whole = [clip[min(frame, len(clip) - 1)][None] for clip in clips]
    high = [centre_crop(image, size)[0] for image in whole]
    low = [to_low_res(image, size, blur=blur, noise=noise, seed=seed)[0] for image in whole]
    row = style.strip_height(len(clips), ASPECT)
    page, (above, below) = style.new_page([row, row], top=0.3, space=0.1, bottom=0.25)
    rows, columns = high[0].shape[:2]
    share = 100 * size[0] * size[1] / (rows * columns)
    style.draw_strip(page, high, f"HR\n{rows}×{columns}", above, titles)
    label = f"LR\n{size[0]}×{size[1]}\n{share:.2g} % of\nthe pixels"
    style.draw_strip(page, low, label, below)
    alt = (
        f"Frame {frame} of {len(clips)} clips: above at {rows}x{columns} pixels, below the same at "
        f"{size[0]}x{size[1]}, blur {blur:g} pixels, noise {noise:g} grey levels."
    )
    return style.attach(page.figure, alt, high=np.stack(high), low=np.stack(low))


def shrink(frames: np.ndarray, size: tuple[int, int], kernel: str) -> np.ndarray:
    """uint8 ``[T, H, W, 3]`` -> float32 ``[T, h, w, 3]``, 0..255; a kernel of ``KERNELS``."""
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    small = F.interpolate(images, tuple(size), **KERNELS[kernel])
    return small.clamp(0, 255).permute(0, 2, 3, 1).numpy()


@style.drawing
def draw_kernels(
    clips: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    clip: int = 0,
    frame: int = 0,
    height: int = 12,
) -> Figure:
    """One frame of one ``clip`` shrunk with each of ``KERNELS``, and what differs from the area
    average; arguments as in :func:`draw_downsampling`."""
    size = (height, round(height * ASPECT))
    shown = clips[clip][min(frame, len(clips[clip]) - 1)][None]
    images = np.stack([shrink(centre_crop(shown, size), size, name)[0] for name in KERNELS])
    differences = images - images[0]
    rms = np.sqrt((differences**2).mean((1, 2, 3)))
    row = style.strip_height(len(KERNELS), ASPECT)
    page, rows = style.new_page([row, row, 0.1], top=0.45, space=0.19, bottom=0.42)
    label = f"{titles[clip]}\nframe {frame}\n{size[0]}×{size[1]}"
    style.draw_strip(page, np.rint(images).astype(np.uint8), label, rows[0], list(KERNELS))
    coloured = colormaps[SIGNED](differences.mean(-1) / (2 * REACH) + 0.5)[..., :3]
    off = ["", *(f"RMS {value:.1f} levels" for value in rms[1:])]
    style.draw_strip(page, coloured, "minus the\narea average", rows[1], off)
    scale = style.add_axes(page, rows[2])  # the colours of a difference, in grey levels
    scale.imshow(np.linspace(0, 1, 128)[None], cmap=SIGNED, extent=(-REACH, REACH, 0, 1))
    scale.set(xlim=(-5 * REACH, 5 * REACH), yticks=[])
    scale.set_xticks([-REACH, 0, REACH], [f"−{REACH}", "0", f"+{REACH} grey levels"], fontsize=8)
    scale.spines[:].set_visible(False)
    said = ", ".join(f"{name} {value:.1f}" for name, value in zip(KERNELS, rms, strict=True))
    alt = (
        f"One frame at {size[0]}x{size[1]} pixels with {len(KERNELS)} kernels. "
        f"RMS grey levels from the area average: {said}."
    )
    return style.attach(page.figure, alt, images=images, rms=rms)


@style.drawing
def draw_information(
    sizes: Sequence[tuple[int, int]], kept: np.ndarray, *, height: int = 12
) -> Figure:
    """How much of a clip is left at each of the sizes ``(h, w)``, rising to the recorded one: of
    its pixels, picture and movement (``[N, len(sizes), 2]``,
    :func:`statkit.lowres.variance_kept` of N clips); ``height``, of a size, is the one marked."""
    rows = np.array([size[0] for size in sizes])
    marked = int(np.flatnonzero(rows == height)[0])
    pixels = 100 * np.prod(sizes, 1) / np.prod(sizes[-1])
    low, middle, high = np.nanpercentile(100 * kept, (25, 50, 75), axis=0)
    figure = style.new_figure(3.6)
    axes = figure.add_axes((0.08, 0.21, 0.56, 0.74))
    axes.plot(rows, pixels, "s:", color=MUTED, ms=3)
    words = [(f"{pixels[marked]:.2g} % of the pixels\n(and of white noise)", "#555555")]
    for part, (name, row) in enumerate((("the picture", "teacher"), ("the movement", "student"))):
        colour = COLOURS[row]
        axes.fill_between(rows, low[:, part], high[:, part], color=colour, alpha=0.2, lw=0)
        axes.plot(rows, middle[:, part], "os"[part] + "-", color=colour, ms=4)
        words.append((f"{middle[marked, part]:.0f} % of {name}", colour))
    axes.axvline(height, color=INK, lw=0.8, ls="--")
    axes.set_xscale("log", base=2)
    axes.set_xticks(rows, [f"{h}×{w}" for h, w in sizes], fontsize=8, rotation=40, ha="right")
    axes.minorticks_off()
    axes.set(ylim=(0, 103), ylabel="kept (per cent)")
    axes.grid(axis="y", lw=0.3)
    at = f"{sizes[marked][0]}×{sizes[marked][1]}"
    figure.text(0.67, 0.88, f"Left at {at}", fontsize=11, va="top")
    for place, (text, colour) in zip((0.36, 0.73, 0.58), words, strict=True):
        darker = [0.8 * part for part in to_rgb(colour)]  # as text it needs more contrast
        figure.text(0.67, place, text, fontsize=11, color=darker)
    figure.text(0.67, 0.2, f"median and quartiles of {len(kept)} clips", fontsize=8, color=MUTED)
    said = ", ".join(text.replace("\n", " ") for text, _ in words)
    alt = f"Shares kept against resolution, from {rows[0]} to {rows[-1]} rows. At {at}: {said}."
    return style.attach(figure, alt, rows=rows, pixels=pixels, kept=kept)


@style.drawing
def draw_crop_leak(
    frame: np.ndarray,
    box: Sequence[float] | None = None,
    *,
    height: int = 12,
    share: float = 2 / 3,
    heights: np.ndarray | None = None,
) -> Figure:
    """The same crop taken after degrading and, which leaks resolution, before.

    Args:
        frame: uint8 ``[H, W, 3]``.
        box: x0, y0, x1, y1 of the actor in pixels of the frame; the crop is around it, or around
            the frame's centre when None.
        height: rows of the LR sensor.
        share: rows and columns of the crop, of the frame's; rounded to whole LR pixels.
        heights: ``[N]``, the actor's height as a share of the frame's, for the lower panel.
    """
    size = (height, round(height * ASPECT))
    high = centre_crop(frame[None], size)
    low = to_low_res(frame[None], size, noise=0)[0]
    top, left, rows, columns = crop = _crop_around(box, frame.shape, size, share)
    scale_y, scale_x = high.shape[1] / size[0], high.shape[2] / size[1]
    ys = slice(round(top * scale_y), round((top + rows) * scale_y))
    xs = slice(round(left * scale_x), round((left + columns) * scale_x))
    after = low[top : top + rows, left : left + columns]
    before = to_low_res(high[:, ys, xs], size, noise=0)[0]
    tall = [style.strip_height(3, ASPECT)] + [1.5] * (heights is not None)
    page, boxes = style.new_page(tall, top=0.3, space=0.3, bottom=0.3 + 0.2 * (len(tall) > 1))
    titles = (
        "the frame, and a crop of it",
        f"degraded, then cropped: {rows}×{columns}",
        f"cropped, then degraded: {size[0]}×{size[1]}",
    )
    whole = [style.enlarge(image, high.shape[1:3]) for image in (high[0], after, before)]
    label = f"crop\n{100 * rows / size[0]:.0f} % of\nthe rows"
    style.draw_strip(page, whole, label, boxes[0], titles)
    inch = tall[0] / size[0]  # of an LR pixel
    corner = style.LEFT + left * inch, boxes[0][3] + top * inch
    for about in ({"color": "white", "lw": 2.5}, {"color": INK, "lw": 1, "ls": "--"}):
        page.add_patch(Rectangle(corner, columns * inch, rows * inch, fill=False, **about))
    alt = (
        f"A crop of {rows} of {size[0]} rows. Degraded first, it has {rows}x{columns} pixels; "
        f"cropped first, {size[0]}x{size[1]}."
    )
    arrays = {"after": after, "before": before, "crop": crop}
    if heights is not None:
        pixels = np.stack([heights * height, heights * height * size[0] / rows])
        arrays["pixels"] = pixels
        style.label_row(page, "test clips", boxes[1])
        axes, bins = style.add_axes(page, boxes[1]), np.linspace(0, np.ceil(pixels.max()), 49)
        names = {"degraded": COLOURS["stat"], "cropped": COLOURS["student"]}
        for values, (name, colour) in zip(pixels, names.items(), strict=True):
            axes.hist(values, bins, histtype="stepfilled", color=colour, alpha=0.6)
            axes.axvline(values.mean(), color=colour, lw=2)
            at = {"transform": axes.get_xaxis_transform(), "va": "top"}
            axes.text(values.mean(), 0.97, f" {name} first:\n {values.mean():.1f} pixels", **at)
        axes.set(ylim=(0, 1.5 * axes.get_ylim()[1]), yticks=[])
        axes.set_xlabel("height of the actor (LR pixels)")
        axes.spines.left.set_visible(False)
        means = pixels.mean(1)
        alt += f" The actor is {means[0]:.1f} LR pixels tall on average, or {means[1]:.1f}."
    return style.attach(page.figure, alt, **arrays)


def _crop_around(box, shape, size, share) -> tuple[int, int, int, int]:
    """Top, left, rows and columns of a crop in whole LR pixels, inside the frame."""
    height, width = centre_crop(np.empty(shape, np.bool_), size).shape[:2]
    middle = shape[0] / 2, shape[1] / 2
    if box is not None:
        middle = (box[1] + box[3]) / 2, (box[0] + box[2]) / 2
    crop = []
    for place, whole, part, pixels in zip(middle, shape, (height, width), size, strict=False):
        count = max(1, round(share * pixels))
        start = (place - (whole - part) / 2) / part * pixels - count / 2
        crop.append((min(max(0, round(start)), pixels - count), count))
    return crop[0][0], crop[1][0], crop[0][1], crop[1][1]
