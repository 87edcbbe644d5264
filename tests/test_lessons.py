"""The pictures of lessons 1 to 3: what they show is what is so."""

import numpy as np
import pytest
import torch
from matplotlib.colors import same_color

from statkit.analysis import orders
from statkit.evaluation import attention_on_actor, evaluate
from statkit.experiments import Experiment
from statkit.experiments.settings import DEMO
from statkit.lowres import to_low_res, variance_kept
from statkit.models import build_model
from statkit.plots.downsampling import (
    KERNELS,
    draw_crop_leak,
    draw_information,
    draw_kernels,
    shrink,
)
from statkit.plots.spatial import draw_actor_scores, draw_spatial_attention
from statkit.plots.style import GROUND, LEAST, LEFT, RIGHT, strip_centres
from statkit.plots.temporal import draw_intervals, draw_orders, draw_temporal_attention
from statkit.sampling import BatchIndex, segment_indices
from statkit.video import read_frames


@pytest.fixture(scope="module")
def frames(dataset):
    return [read_frames(dataset.path(i)) for i in (0, 1)]


def test_the_area_kernel_is_the_camera_without_lens_and_noise(frames):
    exact = to_low_res(frames[0], blur=0, noise=0).astype(np.float32)
    assert np.abs(shrink(frames[0], (12, 16), "area average") - exact).max() <= 0.501


def test_kernels_that_skip_pixels_are_further_from_the_camera(frames):
    figure = draw_kernels(frames, ["a", "b"], clip=1, frame=5)
    off = dict(zip(KERNELS, figure.shown["rms"], strict=True))
    assert off["area average"] == 0
    assert off["bicubic, antialias"] < off["bilinear"] < off["nearest"]
    assert np.array_equal(figure.shown["images"][1], shrink(frames[1][5:6], (12, 16), "nearest")[0])


def test_variance_kept_by_hand(rng):
    blocks = rng.integers(0, 256, (4, 3, 4, 3), dtype=np.uint8)
    frames = blocks.repeat(5, 1).repeat(5, 2)
    assert variance_kept(frames, (3, 4)) == pytest.approx((1, 1), abs=1e-5)
    noise = rng.integers(0, 256, (8, 60, 80, 3), dtype=np.uint8)
    picture, movement = variance_kept(noise, (12, 16))
    assert picture == pytest.approx(1 / 25, rel=0.1) and movement == pytest.approx(1 / 25, rel=0.1)
    still = frames[:1].repeat(3, 0)
    assert np.isnan(variance_kept(still, (3, 4))[1])


def test_information_names_the_marked_resolution(rng):
    kept = np.stack([np.full((3, 2), 0.25), np.full((3, 2), 0.35)])
    figure = draw_information([(6, 8), (12, 16), (24, 32)], kept, height=12)
    assert "At 12×16: 25 % of the pixels (and of white noise), 30 % of the picture" in figure.alt


def test_the_leak_is_one_over_the_crop(frames):
    box = (10, 8, 30, 68)
    figure = draw_crop_leak(frames[0][0], box, share=0.5, heights=np.array([0.5, 0.7]))
    shown = figure.shown
    assert shown["pixels"] == pytest.approx(np.array([[6, 8.4], [12, 16.8]]))
    assert shown["after"].shape == (6, 8, 3) and shown["before"].shape == (12, 16, 3)
    top, left, rows, columns = shown["crop"]
    whole = to_low_res(frames[0][:1], noise=0)[0]
    assert np.array_equal(shown["after"], whole[top : top + rows, left : left + columns])
    assert left == 0 and top == 3


def test_a_map_a_block_whatever_the_networks_see(rng):
    sizes = {"teacher": [(18, 24), (9, 12), (5, 6), (5, 6)], "stat": [(9, 12), (5, 6), (3, 3)] * 2}
    maps = {k: [rng.random(s).astype(np.float32) for s in sizes[k][:4]] for k in sizes}
    frames = {"teacher": rng.random((72, 96, 3)), "stat": rng.random((36, 48, 3))}
    actor = np.zeros((72, 96), bool)
    actor[20:60, 30:50] = True
    titles = {"teacher": "T", "stat": "S"}
    for block in range(1, 5):
        figure = draw_spatial_attention(frames, maps, titles, block=block, actor=actor)
        assert f"block {block} at large" in figure.alt
    assert np.array_equal(figure.shown["stat_res3"], maps["stat"][2])
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "Res1: 18×24" in words and "Res3: 3×3" in words


def test_scores_of_frames_without_an_actor_are_left_out(rng):
    scores = rng.uniform(1, 3, (4, 30))
    scores[0, 3] = np.nan
    figure = draw_actor_scores({"student": scores}, {"student": [9, 6, 3, 3]}, {"student": "S"})
    assert f"S {np.nanmean(scores[0]):.2f}, {scores[1].mean():.2f}" in figure.alt


def test_evaluation_keeps_the_score_of_every_frame(dataset):
    experiment = Experiment(dataset, DEMO, progress=False)
    network = build_model("demo", len(dataset.classes)).eval()
    clips = experiment.split.test[:3]
    source, store = experiment.source("teacher"), experiment.store
    found = evaluate(network, source, store, clips, precision="float32")
    assert found.actor_scores.shape == (4, 3 * network.segments)
    assert found.on_actor == pytest.approx(found.actor_scores.nanmean(1).tolist())
    frames = segment_indices(16, 8)
    mask = torch.from_numpy(dataset.truth.mask(clips[1])[frames[2]])
    draw = BatchIndex(clips[1:2], frames[None], np.zeros(1, np.int64))
    with torch.no_grad():
        output = network(source.pixels(draw, temporal=False))
    alone = attention_on_actor(output.attention_maps[3][2:3], mask)
    assert found.actor_scores[3, 8 + 2] == pytest.approx(alone.item(), rel=1e-4)


def test_intervals_as_they_are_sampled(frames):
    for segments in (1, 5, 16):
        shown = draw_intervals(frames[0], segments=segments, shift=3, action=(4, 9)).shown
        rng = np.random.default_rng(3)
        assert np.array_equal(shown["random"], segment_indices(16, segments, rng=rng)[:, 0])
        assert np.array_equal(shown["centre"], segment_indices(16, segments)[:, 0])
        assert np.all(shown["centre"] >= np.floor(shown["borders"][:-1]))
        assert np.all(shown["centre"] < shown["borders"][1:])


def test_orders_by_hand():
    inside = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], bool)
    assert orders.without_action(inside).tolist() == [[0, 0, 3, 3], [0, 1, 1, 1], [0, 1, 2, 3]]
    assert orders.frozen(inside)[1].tolist() == [0, 0, 0, 0]
    assert orders.frozen(~inside)[1].tolist() == [2, 2, 2, 2]
    assert orders.backwards(2, 3).tolist() == [[2, 1, 0]] * 2
    mixed = orders.shuffled(50, 6, seed=1)
    assert np.array_equal(np.sort(mixed, 1), orders.as_filmed(50, 6))
    assert len(np.unique(mixed, axis=0)) > 40
    assert np.array_equal(mixed, orders.shuffled(50, 6, seed=1))
    assert not np.array_equal(mixed, orders.shuffled(50, 6, seed=2))


def test_overlap_goes_from_none_to_all(rng):
    weights = rng.dirichlet(np.ones(5), 7)
    assert orders.overlap(weights, weights) == pytest.approx(np.ones(7))
    assert orders.overlap(np.eye(4), np.eye(4)[::-1]).tolist() == [0, 0, 0, 0]
    assert orders.overlap(np.array([[0.5, 0.5]]), np.array([[0.2, 0.8]])) == pytest.approx([0.7])


def test_features_in_another_order_are_those_of_the_frames_in_that_order(rng):
    network = build_model("demo", 3).eval()
    clips = torch.rand(2, 8, 3, 36, 48, generator=torch.Generator().manual_seed(1))
    places = torch.from_numpy(orders.shuffled(2, 8))
    with torch.no_grad():
        seen = network(clips.take_along_dim(places[..., None, None, None], 1))
        moved = network.video_level(network(clips).features.take_along_dim(places[..., None], 1))
    assert torch.allclose(seen.logits, moved[0], atol=1e-5)
    assert torch.allclose(seen.tam.weights, moved[1].weights, atol=1e-5)


def test_weights_before_and_after_under_their_frames(rng):
    before, after = rng.dirichlet(np.ones(4), 2)
    order, inside = np.array([2, 0, 3, 1]), np.array([False, True, True, False])
    frames = rng.random((4, 12, 16, 3))
    figure = draw_temporal_attention(frames, before, after, order, inside=inside)
    page = figure.axes[0]
    words = [text.get_text() for text in page.texts]
    numbers = [word for word in words if word.isdigit()]
    assert numbers == ["1", "2", "3", "4", "3", "1", "4", "2"]
    shares = [word for word in words if word.endswith(" %")]
    assert shares == [f"{100 * weight:.0f} %" for weight in [*before, *after] if weight >= LEAST]
    centres = strip_centres(4, LEFT, RIGHT)
    grounds = [c for c in page.collections if same_color(c.get_facecolor(), GROUND)]
    shown = [[path.vertices[:-1, 0].mean() for path in c.get_paths()] for c in grounds]
    assert shown[0] == pytest.approx(centres[[1, 2]])
    assert shown[1] == pytest.approx(centres[[0, 3]])
    without = draw_temporal_attention(frames, before, after, order)
    assert np.array_equal(without.shown["order"], order)


def test_overlaps_stand_where_they_are(rng):
    overlaps = {"backwards": {"teacher": (0.8, 0.2), "student": (0.1, 1.0)}}
    profile = {"as filmed": rng.dirichlet(np.ones(8)), "still": rng.dirichlet(np.ones(8))}
    titles = {"teacher": "T", "student": "S"}
    figure = draw_orders(overlaps, {"teacher": profile}, titles, action=np.full(8, 1 / 8))
    assert figure.shown["student backwards"].tolist() == [0.1, 1.0]
    assert "backwards: T 0.80 and 0.20" in figure.alt
    assert draw_orders(overlaps, {"teacher": profile}, titles).shown.keys() >= {"teacher still"}
