import numpy as np
import pytest

from statkit.sampling import eval_batches, segment_indices, train_batches


def test_centres_of_equal_intervals():
    assert segment_indices(16, 8)[:, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]
    assert segment_indices(40, 4, 5).tolist() == [list(range(s, s + 5)) for s in (3, 13, 23, 33)]


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 16, 29, 492])
@pytest.mark.parametrize("segments, each", [(8, 1), (4, 5), (4, 16)])
def test_indices_exist_whatever_the_length(frames, segments, each):
    for rng in (None, np.random.default_rng(0)):
        found = segment_indices(frames, segments, each, rng=rng)
        assert found.shape == (segments, each) and found.dtype == np.int64
        assert found.min() >= 0 and found.max() < frames
        steps = np.diff(found, axis=1)
        assert ((steps == 1) | (found[:, 1:] == frames - 1)).all()


def test_random_frames_stay_in_their_interval_and_reach_all_of_it():
    rng = np.random.default_rng(0)
    seen = np.concatenate([segment_indices(30, 3, rng=rng) for _ in range(400)], 1)
    for k in range(3):
        assert set(seen[k]) == set(range(10 * k, 10 * k + 10))


def test_random_runs_stay_in_their_interval():
    rng = np.random.default_rng(0)
    for _ in range(100):
        runs = segment_indices(40, 4, 5, rng=rng)
        assert (runs // 10 == np.arange(4)[:, None]).all()


def test_zero_is_refused():
    with pytest.raises(ValueError, match="num_frames=0"):
        segment_indices(0, 4)


def test_an_epoch_draws_every_clip_once_and_depends_on_its_seed_and_number_alone():
    clips, lengths = np.arange(50, 91), np.full(100, 16)
    options = {"batch_size": 8, "views": 10}

    def epoch(**at):
        return list(train_batches(clips, lengths, 8, 1, **options, **at))

    first = epoch(seed=1, epoch=3)
    drawn = np.concatenate([draw.clips for draw in first])
    # 41 clips in batches of 8 leave one alone, which is dropped.
    assert len(drawn) == 40 and len(set(drawn)) == 40 and set(drawn) <= set(clips)
    for one, other in zip(first, epoch(seed=1, epoch=3), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(first[0].clips, epoch(seed=1, epoch=4)[0].clips)
    assert not np.array_equal(first[0].clips, epoch(seed=2, epoch=3)[0].clips)


def test_a_fixed_look_is_the_same_in_every_epoch_and_another_in_every_view():
    clips, lengths = np.arange(40), np.full(40, 16)
    shown = {}
    for epoch in range(8):
        how = {"batch_size": 8, "views": 4, "seed": 0, "epoch": epoch, "fixed": True}
        for draw in train_batches(clips, lengths, 8, 1, **how):
            for clip, view, frames in zip(draw.clips, draw.views, draw.frames, strict=True):
                shown.setdefault((clip, view), set()).add(tuple(frames[:, 0]))
                assert np.array_equal(frames[:, 0] // 2, np.arange(8))
    assert len(shown) > 130 and all(len(looks) == 1 for looks in shown.values())
    assert len({looks.copy().pop() for (clip, _), looks in shown.items() if clip == 0}) > 1


def test_evaluation_draws_all_clips_in_order_in_the_whole_view():
    draws = list(eval_batches(np.arange(5), np.full(5, 16), 8, 1, batch_size=2))
    assert np.concatenate([d.clips for d in draws]).tolist() == [0, 1, 2, 3, 4]
    assert not any(d.views.any() for d in draws)
