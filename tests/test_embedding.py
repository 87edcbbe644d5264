import numpy as np
import pytest

from statkit.analysis.embedding import (
    clark_evans_ratio,
    clip_perplexity,
    knn_accuracy,
    neighbours,
    pick_clips,
    scenes_of,
    separation,
    tsne,
)
from statkit.data.clips import Split
from statkit.plots.embeddings import class_style, draw_doubts, draw_embeddings
from statkit.runtime.cache import cache_folder
from statkit.widgets.scatter import ClipScatter, packed, side_by_side


def blobs(rng, apart, count=60, classes=3):
    labels = np.arange(count) % classes
    return rng.normal(0, 1, (count, 8)) + apart * labels[:, None], labels


def test_classes_that_lie_apart_are_measured_so(rng):
    points, labels = blobs(rng, 20)
    found = separation(points, labels)
    assert found.nearest == 100 and found.silhouette > 0.8
    mixed = separation(blobs(rng, 0)[0], labels)
    with pytest.raises(ValueError, match="two points of one"):
        separation(points[:4], np.arange(4))
    assert mixed.nearest < 70 and abs(mixed.silhouette) < 0.1


def test_no_point_is_its_own_neighbour_even_among_copies():
    near = neighbours(np.array([[0.0], [0.1], [5.0], [5.1]]), 1)
    assert near[:, 0].tolist() == [1, 0, 3, 2]
    labels = np.array([0, 1, 1, 1])
    assert knn_accuracy(near, labels) == 50


def test_the_nearer_neighbour_wins_a_tie():
    near = np.array([[1, 2], [0, 2], [1, 0]])
    assert knn_accuracy(near, np.array([1, 1, 0])) == pytest.approx(200 / 3)


def test_the_share_of_neighbours_from_the_same_scene():
    points = np.array([[0.0], [0.1], [9.0], [9.1]])
    scenes = np.array([4, 4, 7, 7])
    near_scene = scenes[neighbours(points, 1)][:, 0]
    assert (near_scene == scenes).all()
    names = ["A/v_A_g04_c01.mp4", "B/v_B_g12_c02.mp4"]
    names.append("B/v_B_g04_c01.mp4")  # another scene than that of A, but in generated clips
    assert scenes_of(names).tolist() == [0, 2, 1]
    assert scenes_of(names, generated=True).tolist() == [0, 1, 0]
    assert scenes_of([*names, "B/other.mp4"]) is None


def test_tsne_keeps_islands_and_is_kept_itself(rng):
    points, labels = blobs(rng, 20)
    before = set(cache_folder("tsne").iterdir())
    first = tsne(points, 5)
    made = set(cache_folder("tsne").iterdir()) - before
    assert first.shape == (60, 2) and first.dtype == np.float32 and len(made) == 1
    assert separation(first, labels).nearest == 100
    assert np.array_equal(tsne(points, 5), first)
    tsne(points, 6), tsne(points, 5, start="random"), tsne(points, 5, start="random", seed=1)
    assert len(set(cache_folder("tsne").iterdir()) - before) == 4


def test_perplexity_stays_within_reach_and_bad_points_are_refused(rng):
    assert clip_perplexity(50, 96) == 31 and clip_perplexity(30, 720) == 30
    assert tsne(rng.random((7, 3)), 50).shape == (7, 2)
    for wrong in (rng.random((3, 2)), rng.random(9), np.full((9, 2), np.nan)):
        with pytest.raises(ValueError, match="finite points"):
            tsne(wrong)


def test_evenness_tells_clumps_from_chance_and_from_a_grid(rng):
    chance = clark_evans_ratio(rng.random((2000, 2)))
    assert chance == pytest.approx(1, abs=0.06)
    centres = rng.random((40, 2)).repeat(50, 0)
    assert clark_evans_ratio(centres + rng.normal(0, 0.003, centres.shape)) < 0.5
    grid = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0)), -1).reshape(-1, 2)
    assert clark_evans_ratio(grid) > 1.8


def test_clips_of_the_test_split_or_as_in_the_paper():
    split = Split(np.arange(10), np.arange(10, 14))
    assert pick_clips(split).tolist() == [10, 11, 12, 13]
    assert pick_clips(split, "paper").tolist() == list(range(14))
    some = pick_clips(split, "paper", most=6)
    assert len(set(some.tolist())) == 6 and (np.diff(some) > 0).all()
    with pytest.raises(ValueError, match="'train'"):
        pick_clips(split, "train")


def test_figure_6_shows_its_points_and_numbers(rng):
    points, labels = blobs(rng, 3)
    maps = {"teacher": points[:, :2], "stat": points[:, 2:4]}
    both = {key: (separation(points, labels), separation(maps[key], labels)) for key in maps}
    titles, classes = {"teacher": "T", "stat": "S"}, ["a", "b", "c"]
    for action in ("all", "b"):
        figure = draw_embeddings(maps, titles, labels, classes, both, action=action)
        drawn = [axes.collections for axes in figure.axes]
        assert all(sum(len(c.get_offsets()) for c in panel) == 60 for panel in drawn)
        assert figure.shown["stat_nearest"].tolist() == [part.nearest for part in both["stat"]]
    doubts = draw_doubts([("one", maps["stat"], "x"), ("two", maps["teacher"], "y")], labels)
    assert np.array_equal(doubts.shown["map_1"], maps["teacher"])
    assert len({class_style(label) for label in range(42)}) == 42


def scatter(show, tell=str):
    maps = [np.array([[0.0, 0], [4, 2]]), np.array([[1.0, 1], [1, 1]])]
    return ClipScatter(maps, ["A", "B"], np.array([0, 1]), ["a", "b"], show, tell)


def test_a_point_shows_its_clip_and_nothing_stays():
    shown = []
    widget = scatter(lambda i: shown.append(i) or np.full((4, 6, 3), i, np.uint8))
    widget.check()
    assert shown == [0, 1] and widget.words == "" and widget.picture == b""
    widget.chosen = 1
    assert widget.words == "1" and widget.picture.startswith(b"\x89PNG")


def test_a_clip_that_cannot_be_shown_is_told():
    def show(point):
        raise OSError("the disk is gone")

    widget = scatter(show)
    widget.chosen = 0
    assert "the disk is gone" in widget.words and widget.picture == b""
    with pytest.raises(OSError, match="gone"):
        scatter(show).check()


def test_maps_are_brought_to_the_unit_square_with_their_proportions():
    flat = np.frombuffer(scatter(lambda i: None).maps, np.float32).reshape(2, 2, 2)
    assert flat[0].tolist() == [[0, 0.25], [1, 0.75]]
    assert flat[1].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert packed([np.zeros((3, 2))]) == np.full((3, 2), 0.5, np.float32).tobytes()


def test_frames_side_by_side_in_both_resolutions(rng):
    hr = rng.integers(0, 256, (9, 6, 8, 3), np.uint8)
    lr = rng.integers(0, 256, (9, 3, 4, 3), np.uint8)
    image = side_by_side(hr, lr, count=3)
    assert image.shape == (12, 24, 3)
    assert np.array_equal(image[:6, 8:16], hr[4]) and np.array_equal(image[6, 23], lr[8, 0, 3])
