"""Motion (Section 3.1.2, Table 4): consecutive frames, the maps of a 3-D network over time, optical
flow, and the fusion of two streams."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from statkit.data.flow import REACH
from statkit.evaluation import best_answers
from statkit.sampling import segment_indices

from . import style
from .attention import over_frames
from .own_clip import draw_answers
from .style import INK, LEFT, MUTED, RIGHT

STREAMS = {"RGB": "#0072B2", "flow": "#E69F00", "both": "#222222"}
BARS = 0.85  # inches, the answers of a stream
MOST_ARROWS = 16  # in a row of a picture
LONGER = 3  # an arrow is so many times as long as the motion
MOST_CLASSES = 14


@style.drawing
def draw_consecutive(
    frames: np.ndarray, *, singles: int = 8, segments: int = 4, consecutive: int = 4
) -> Figure:
    """The frames of one clip, uint8 ``[T, h, w, 3]``, that a 2-D network sees (``singles``, one
    from each of K intervals) and a 3-D network (``consecutive`` frames from each of K segments),
    and what moves in each run."""
    aspect = frames.shape[2] / frames.shape[1]
    single = segment_indices(len(frames), singles)[:, 0]
    runs = segment_indices(len(frames), segments, consecutive)
    moved = np.ptp(frames[runs].astype(np.float32), axis=1).max(-1) / 255  # [K, h, w]
    heights = [style.strip_height(n, aspect) for n in (singles, max(8, runs.size), 2 * segments)]
    page, boxes = style.new_page(heights, top=0.6, space=0.33, bottom=0.24)
    rows = (
        (f"2-D:\n{singles} single frames", frames[single], single + 1),
        (f"3-D: {segments} times {consecutive} frames", frames[runs.ravel()], runs.ravel() + 1),
        ("what moves\nin a run", np.stack([moved] * 3, -1), [f"{m.mean():.0%}" for m in moved]),
    )
    for (words, pictures, titles), (left, right, low, high) in zip(rows, boxes, strict=True):
        width = len(pictures) * aspect * (1 + style.GAP) * (low - high)
        style.draw_strip(page, pictures, words, (left, min(left + width, right), low, high), titles)
    alt = (
        f"{singles} single frames, {segments} runs of {consecutive} consecutive "
        "frames, and how much each pixel changes in a run."
    )
    return style.attach(page.figure, alt, single=single, runs=runs, moved=moved)


@style.drawing
def draw_time_maps(
    frames: np.ndarray, maps: Sequence[np.ndarray], *, overlay: float = 0.6
) -> Figure:
    """Equation 1 of a 3-D network in one interval: a map per block (four arrays ``[T, h, w]``) and
    time step, under the middle of the frames that it covers, of the network's input, float
    ``[F, H, W, 3]`` in 0..1."""
    count, aspect = len(frames), frames.shape[2] / frames.shape[1]
    tall = min(0.95, style.strip_height(count, aspect))
    wide = tall * aspect
    page, boxes = style.new_page([tall] * 5, top=0.6, space=0.12, bottom=0.22)
    right = LEFT + count * wide * (1 + style.GAP)
    words = [f"frame {n + 1}" for n in range(count)]
    style.draw_strip(page, frames, "input", (LEFT, right, *boxes[0][2:]), words)
    for block, (values, (_, _, low, high)) in enumerate(zip(maps, boxes[1:], strict=True), 1):
        middles = (np.arange(len(values)) + 0.5) / len(values)
        laid = over_frames(frames[(middles * count).astype(int)], values, overlay)
        for middle, picture in zip(LEFT + middles * (right - LEFT), laid, strict=True):
            page.imshow(picture, extent=(middle - wide / 2, middle + wide / 2, low, high))
        steps, rows, columns = values.shape
        style.label_row(page, f"Res{block}:\n{steps} × {rows}×{columns}", (LEFT, right, low, high))
    sizes = ", ".join("x".join(map(str, values.shape)) for values in maps)
    alt = f"{count} frames and the maps of four blocks over time, of sizes {sizes}."
    return style.attach(page.figure, alt, **{f"res{i}": m for i, m in enumerate(maps, 1)})


@style.drawing
def draw_flow(frames: np.ndarray, flow: np.ndarray) -> Figure:
    """Two frames, uint8 ``[2, h, w, 3]``, the motion between them as arrows, and as the picture
    uint8 ``[h, w, 3]`` that a network gets (:func:`statkit.data.flow.flow_frames`)."""
    height, width = flow.shape[:2]
    motion = (flow[..., :2].astype(np.float32) - 128) / 127 * REACH
    page, [box] = style.new_page([style.strip_height(4, width / height)], top=0.65, bottom=0.6)
    titles = ["frame", "next frame", "motion", "picture for the network"]
    pictures = [frames[0], frames[1], frames[0] // 2 + 127, flow]
    style.draw_strip(page, pictures, f"{height}×{width}", box, titles)
    cell = (box[1] - box[0]) / (4 * (1 + style.GAP) * width)  # inches
    start = box[0] + 2 * (box[1] - box[0]) / 4
    every = -(-width // MOST_ARROWS)
    rows, columns = np.mgrid[every // 2 : height : every, every // 2 : width : every]
    places = start + (columns + 0.5) * cell, box[3] + (rows + 0.5) * cell
    arrows = motion[rows, columns] * cell * every * LONGER
    about = {"angles": "xy", "scale_units": "xy", "scale": 1, "color": INK, "width": 0.002}
    page.quiver(*places, arrows[..., 0], arrows[..., 1], **about)
    speed = np.linalg.norm(motion, axis=-1)
    note = f"speed in LR pixels per frame: mean {speed.mean():.1f}, greatest {speed.max():.1f}"
    note += f"; arrows {LONGER} times as long"
    page.text(LEFT, box[2] + 0.2, note, fontsize=8, color=MUTED)
    alt = f"Two frames of {height}x{width} pixels and the motion between them; {note}."
    return style.attach(page.figure, alt, motion=motion, flow=flow)


@style.drawing
def draw_fusion(
    rgb: np.ndarray,
    flow: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    fuse: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
    *,
    flow_weight: float = 1.0,
) -> Figure:
    """Late fusion: prec@1 against the weight of the flow stream; the first classes at one weight.
    Each stream is probabilities ``[N, classes]``, labels are ``[N]``; ``fuse`` makes the
    probabilities of both from the streams and the weight."""

    def right(probabilities: np.ndarray) -> np.ndarray:
        return 100 * (probabilities.argmax(1) == labels)

    weights = np.linspace(0, 3, 31)
    curve = np.array([right(fuse(rgb, flow, weight)).mean() for weight in weights])
    streams = {"RGB": rgb, "flow": flow, "both": fuse(rgb, flow, flow_weight)}
    named = classes[:MOST_CLASSES]
    by_class = {
        name: np.array([right(values)[labels == label].mean() for label in range(len(named))])
        for name, values in streams.items()
    }
    figure = style.new_figure(4.0)
    left, bars = (figure.add_axes((x, 0.17, 0.36, 0.7)) for x in (0.07, 0.62))
    left.plot(weights, curve, color=INK)
    whole = {name: right(values).mean() for name, values in streams.items()}
    for name in ("RGB", "flow"):
        left.axhline(whole[name], color=STREAMS[name], ls=":")
        left.text(3, whole[name], f"{name} alone", ha="right", va="bottom", fontsize=8)
    left.plot(flow_weight, whole["both"], "o", color=INK)
    left.set_title(f"weight {flow_weight:.1f}: {whole['both']:.1f} %")
    left.set_xlabel("weight of the flow stream (RGB has 1)")
    left.set_ylabel("prec@1 on the test clips (per cent)")
    for shift, (name, values) in enumerate(by_class.items()):
        at = np.arange(len(named)) + 0.27 * (shift - 1)
        bars.barh(at, values, 0.25, color=STREAMS[name], label=f"{name} {whole[name]:.1f}")
    bars.set_yticks(range(len(named)), named, fontsize=8)
    bars.set(xlim=(0, 100), ylim=(len(named) - 0.5, -0.5))
    bars.set_xlabel("prec@1 of each class (per cent)")
    bars.legend(ncols=3, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1))
    said = ", ".join(f"{name} {value:.1f}" for name, value in whole.items())
    alt = f"prec@1 in per cent with weight {flow_weight:.1f} of the flow stream: {said}."
    return style.attach(figure, alt, weights=weights, prec1=curve, **by_class)


@style.drawing
def draw_streams(
    pictures: dict[str, np.ndarray], probabilities: dict[str, np.ndarray], classes: Sequence[str]
) -> Figure:
    """One clip as each stream sees it ("RGB" and "flow" -> uint8 ``[n, h, w, 3]``), and the three
    best answers of each stream and of "both" (probabilities ``[classes]``)."""
    count, rows, columns, _ = pictures["RGB"].shape
    tall = style.strip_height(count, columns / rows)
    page, boxes = style.new_page([tall] * 2, top=0.4, space=0.06, bottom=BARS + 1.09)
    for (name, frames), box in zip(pictures.items(), boxes, strict=True):
        style.draw_strip(page, frames, name, box)
    best = {name: best_answers(values, classes, 3) for name, values in probabilities.items()}
    for place, (name, answers) in enumerate(best.items()):
        ends = [(share + place) * (RIGHT - LEFT) / len(best) + LEFT for share in (0.02, 0.94)]
        box = (*ends, boxes[1][2] + BARS + 0.64, boxes[1][2] + 0.64)
        draw_answers(page, answers, name, STREAMS[name], box)
    said = "; ".join(f"{name} says {answers[0][0]}" for name, answers in best.items())
    arrays = {f"{name}_probabilities": values for name, values in probabilities.items()}
    return style.attach(page.figure, f"{said}.", **arrays)
