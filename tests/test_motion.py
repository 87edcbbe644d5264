"""The pictures of lesson 10: what they show is what is so."""

import numpy as np
import pytest
from test_flow import moving_spot

from statkit.data.flow import flow_frames
from statkit.plots.motion import (
    draw_consecutive,
    draw_flow,
    draw_fusion,
    draw_streams,
    draw_time_maps,
)
from statkit.sampling import segment_indices


def test_runs_are_what_a_3d_network_is_fed(rng):
    frames = rng.integers(0, 256, (16, 12, 16, 3), np.uint8)
    frames[8:12] = frames[8]
    shown = draw_consecutive(frames).shown
    assert np.array_equal(shown["single"], segment_indices(16, 8)[:, 0])
    assert np.array_equal(shown["runs"], segment_indices(16, 4, 4))
    assert (shown["moved"].max((1, 2)) > 0).tolist() == [True, True, False, True]
    assert not draw_consecutive(frames, consecutive=1).shown["moved"].any()


def test_a_map_stands_under_the_frames_that_it_covers(rng):
    frames = rng.random((4, 36, 48, 3))
    maps = [rng.random(size).astype(np.float32) for size in ((4, 9, 12), (2, 5, 6), (1, 3, 3))]
    figure = draw_time_maps(frames, [*maps, maps[-1]])
    middles = [np.mean(image.get_extent()[:2]) for image in figure.axes[0].images]
    strip, first, second, third = middles[0], middles[1:5], middles[5:7], middles[7]
    assert np.mean(first) == pytest.approx(third) == pytest.approx(np.mean(second))
    assert second == pytest.approx([np.mean(first[:2]), np.mean(first[2:])])
    assert strip == pytest.approx(third, abs=0.05) and len(middles) == 9
    assert np.array_equal(figure.shown["res2"], maps[1])


def test_arrows_are_the_motion_of_the_spot():
    frames = moving_spot((1, 0), 2)
    figure = draw_flow(frames, flow_frames(frames)[0])
    spot = figure.shown["motion"][2:7, 3:8].reshape(-1, 2).mean(0)
    assert spot == pytest.approx([1, 0], abs=0.4)
    [arrows] = [c for c in figure.axes[0].collections if hasattr(c, "U")]
    assert arrows.U.reshape(12, 16)[4, 5] > 5 * abs(arrows.V.reshape(12, 16)[4, 5])


def test_fusion_by_hand():
    rgb = np.array([[0.9, 0.1], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8]])
    flow = np.array([[0.4, 0.6], [0.1, 0.9], [0.3, 0.7], [0.9, 0.1]])
    labels = np.array([0, 1, 1, 1])
    asked = []

    def fuse(first, second, weight):
        asked.append(weight)
        return first + weight * second

    figure = draw_fusion(rgb, flow, labels, ["a", "b"], fuse, flow_weight=1.5)
    shown = figure.shown
    assert shown["prec1"][0] == 50 and asked[-1] == 1.5
    assert shown["prec1"][5] == 100  # weight 0.5: flow outvotes RGB where RGB is unsure
    assert shown["RGB"] == pytest.approx([100, 100 / 3])
    assert shown["both"] == pytest.approx([100, 200 / 3])
    assert "RGB 50.0, flow 50.0, both 75.0" in figure.alt


def test_the_answers_of_a_clip_are_those_of_its_streams(rng):
    pictures = {name: rng.integers(0, 256, (8, 12, 16, 3), np.uint8) for name in ("RGB", "flow")}
    sure = {"RGB": [0.7, 0.3], "flow": [0.4, 0.6], "both": [0.55, 0.45]}
    sure = {name: np.array(values) for name, values in sure.items()}
    figure = draw_streams(pictures, sure, ["Jump", "Run"], headline="Jump")
    assert figure.alt == "Jump. RGB says Jump; flow says Run; both says Jump."
    words = [text.get_text() for text in figure.axes[0].texts]
    assert {"RGB", "flow", "both", "70 %", "60 %"} <= set(words)
