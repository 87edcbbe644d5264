"""The generated demo set: repeatable, balanced, honest about itself, and never half-written."""

import json
from collections import Counter

import numpy as np
import pytest
from scipy.ndimage import minimum_filter
from sklearn.linear_model import RidgeClassifier

import data_prep
from data_prep.actor import ACTIONS, TABLE
from data_prep.demo import _parts, make_demo
from data_prep.film import Clip, Knobs, film, perform
from statkit.errors import StatkitError
from statkit.lowres import to_low_res
from statkit.video import probe, read_frames

SMALL = {"train": 72, "test": 24, "size": (48, 64)}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small set: six clips of each action to train on, two to test on."""
    return make_demo(tmp_path_factory.mktemp("demo") / "set", **SMALL, workers=1)


def lines(folder, name):
    return (folder / "splits" / name).read_text().splitlines()


def files(folder):
    """Every file with its bytes."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def unpacked(truth):
    """Masks as bool [N, T, H, W]."""
    height, width = truth["size"]
    bits = np.unpackbits(truth["masks"], axis=-1, count=height * width)
    return bits.reshape(*bits.shape[:2], height, width).astype(bool)


def test_the_same_seed_makes_the_same_set_however_many_workers(demo, tmp_path):
    again = make_demo(tmp_path / "again", **SMALL, workers=2)
    assert files(again) == files(demo)
    assert len(set(files(demo).values())) == len(files(demo))


def test_the_size_of_the_training_part_does_not_change_its_clips(demo, tmp_path):
    less = make_demo(tmp_path / "less", **SMALL | {"train": 24, "test": 12}, workers=1)
    for name in (line.split()[0] for line in lines(less, "trainlist01.txt")):
        assert (less / "videos" / name).read_bytes() == (demo / "videos" / name).read_bytes()


def test_seed_action_group_and_number_all_change_the_frames():
    def frames(action="Walk", group=1, number=1, seed=0):
        return film(Clip(action, group, number), seed, 16, (48, 64))[0]

    first = frames()
    assert np.array_equal(first, frames())
    for other in ({"action": "Run"}, {"group": 2}, {"number": 2}, {"seed": 1}):
        assert not np.array_equal(first, frames(**other))


def test_lists_follow_ucf101_and_share_no_group(demo):
    index = dict(line.split()[::-1] for line in lines(demo, "classInd.txt"))
    assert list(index) == list(ACTIONS)
    train, test = lines(demo, "trainlist01.txt"), lines(demo, "testlist01.txt")
    assert all(index[line.split("/")[0]] == line.split()[1] for line in train)
    assert train[0] == "Walk/v_Walk_g01_c01.mp4 1"
    assert test[0] == "Walk/v_Walk_g04_c01.mp4"
    names = [line.split()[0] for line in train] + test
    assert sorted(names) == sorted(
        str(path.relative_to(demo / "videos").as_posix()) for path in demo.rglob("*.mp4")
    )

    def groups(part):
        return {line.split("_")[2] for line in part}

    assert groups(train) == {"g01", "g02", "g03"}
    assert groups(test) == {"g04"}


@pytest.mark.parametrize(("part", "each"), [("trainlist01.txt", 6), ("testlist01.txt", 2)])
def test_every_action_has_as_many_clips(demo, part, each):
    counts = Counter(line.split("/")[0] for line in lines(demo, part))
    assert counts == dict.fromkeys(ACTIONS, each)


def test_videos_are_of_the_promised_size(demo):
    for action in ACTIONS:
        info = probe(demo / "videos" / action / f"v_{action}_g01_c01.mp4")
        assert (info.num_frames, info.fps, info.height, info.width) == (16, 12, 48, 64)


def test_truth_has_a_row_for_each_listed_clip(demo):
    truth = np.load(demo / "truth.npz")
    listed = [line.split()[0] for line in lines(demo, "trainlist01.txt")]
    assert truth["names"].tolist() == listed + lines(demo, "testlist01.txt")
    assert truth["boxes"].shape == (96, 16, 4)
    assert truth["boxes"].dtype == np.float32
    assert truth["masks"].shape == (96, 16, 48 * 64 // 8)
    assert truth["masks"].dtype == np.uint8
    assert truth["intervals"].shape == (96, 2)
    assert truth["intervals"].dtype == truth["size"].dtype == np.int64
    assert truth["size"].tolist() == [48, 64]


def test_boxes_are_tight_and_intervals_leave_idle_frames_on_both_sides(demo):
    truth = np.load(demo / "truth.npz")
    starts, stops = truth["intervals"].T
    assert (starts >= 1).all() and (stops <= 15).all()
    lengths = stops - starts
    assert lengths.min() >= 5 and lengths.max() <= 9
    assert len(set(starts)) > 4
    for masks, boxes in zip(unpacked(truth), truth["boxes"].astype(int), strict=True):
        for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
            assert 0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 48
            assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
            for edge in (mask[y0], mask[y1 - 1], mask[:, x0], mask[:, x1 - 1]):
                assert edge.any()


def test_masks_lie_on_the_actor_in_the_decoded_video(demo):
    """The actor's outline is an edge of the picture; the same outline elsewhere is less of one."""
    truth = np.load(demo / "truth.npz")
    here, elsewhere = [], []
    for name, masks in zip(truth["names"], unpacked(truth), strict=True):
        grey = read_frames(demo / "videos" / name).mean(-1)
        steps = np.abs(np.diff(grey, axis=2))
        outline = np.diff(masks.astype(np.int8), axis=2) != 0
        here.append(steps[outline].mean())
        elsewhere.append(np.roll(steps, steps.shape[2] // 2, axis=2)[outline].mean())
    assert np.mean(here) > 1.3 * np.mean(elsewhere)


def test_the_actor_changes_more_while_it_acts(demo):
    truth = np.load(demo / "truth.npz")
    acting, idle = [], []
    rows = zip(truth["names"], unpacked(truth), truth["intervals"], strict=True)
    for name, masks, (start, stop) in rows:
        frames = read_frames(demo / "videos" / name).astype(float)
        change = np.abs(np.diff(frames, axis=0)).mean(-1)
        either = masks[1:] | masks[:-1]
        change = (change * either).sum((1, 2)) / either.sum((1, 2))
        inside = np.zeros(15, bool)
        inside[start - 1 : stop] = True  # the steps into, within and out of the action
        acting.append(change[inside].mean())
        idle.append(change[~inside].mean())
    assert np.mean(acting) > 1.1 * np.mean(idle)


def test_no_two_actions_share_their_poses():
    phases = np.linspace(0, 1, 9)
    poses = [np.stack([action.pose(p)[:11] for p in phases]) for action in TABLE.values()]
    for i, one in enumerate(poses):
        for other in poses[:i]:
            assert np.abs(one - other).max() > 30


def test_the_card_says_that_the_clips_are_generated(demo):
    card = json.loads((demo / "generated.json").read_text())
    assert card["generated"] is True
    assert "generated" in card["note"]
    assert (card["train"], card["test"], card["size"], card["seed"]) == (72, 24, [48, 64], 0)


def test_a_finished_set_is_left_alone(demo):
    before = (demo / "truth.npz").stat().st_mtime_ns
    assert make_demo(demo, **SMALL) == demo
    assert (demo / "truth.npz").stat().st_mtime_ns == before


def test_another_set_is_refused_by_the_parameter_that_differs(demo):
    before = files(demo)
    with pytest.raises(ValueError, match="seed is 0, asked for 3"):
        make_demo(demo, **SMALL, seed=3)
    with pytest.raises(ValueError, match="train is 72, asked for 96"):
        make_demo(demo, **SMALL | {"train": 96})
    assert files(demo) == before


def test_a_strangers_folder_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(ValueError, match="not a demo set"):
        make_demo(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 100}, "multiple of 12"),
        ({"test": 0}, "multiple of 12"),
        ({"frames": 4}, "frames"),
        ({"size": (47, 64)}, "even"),
    ],
)
def test_impossible_sizes_are_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        make_demo(tmp_path / "set", **SMALL | wrong)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_left_of_a_set_that_failed(tmp_path, workers):
    with pytest.raises(ValueError):
        make_demo(tmp_path / "set", **SMALL, seed=-1, workers=workers)  # numpy wants 0 or more
    assert not any(tmp_path.iterdir())


def test_leftovers_of_a_killed_run_do_not_matter(tmp_path):
    (tmp_path / ".set.0123").mkdir()
    (tmp_path / ".set.0123" / "generated.json").write_text("{")
    made = make_demo(tmp_path / "set", train=12, test=12, size=(48, 64), workers=1)
    assert len(list(made.rglob("*.mp4"))) == 24


CLIP = Clip("GolfSwing", 1, 1)


def with_knobs(words):
    return film(CLIP, 0, 16, (72, 96), Knobs.read(words))


def test_a_knob_changes_its_own_property_and_nothing_else():
    frames, masks, interval = film(CLIP, 0, 16, (72, 96))
    tinted, same_masks, same_interval = with_knobs("scene=1")
    assert np.array_equal(masks, same_masks) and interval == same_interval
    inside = minimum_filter(masks, (1, 5, 5))  # the actor's rim is mixed with what is behind it
    assert (frames[inside] == tinted[inside]).mean() > 0.95
    assert np.abs(frames.astype(int) - tinted)[~masks].mean() > 10

    areas = [with_knobs(f"actor={factor}")[1].sum() for factor in (0.4, 0.7, 1, 1.3)]
    assert areas == sorted(areas) and areas[0] < areas[-1] / 5

    lengths = [stop - start for start, stop in (with_knobs(f"idle={i}")[2] for i in (0, 0.5, 0.85))]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] >= 13 and lengths[-1] <= 4

    empty, full = with_knobs("clutter=0"), with_knobs("clutter=4")
    assert all(np.array_equal(masks, other[1]) for other in (empty, full))
    edges = [np.abs(np.diff(f[0].astype(int), axis=2)).mean() for f in (empty, (frames,), full)]
    assert edges == sorted(edges)


def test_a_linear_model_on_single_low_resolution_frames_rises_with_scene():
    def accuracy(scene):
        clips = [Clip(a, g, n) for g in range(1, 9) for n in (1, 2) for a in ACTIONS]
        frames = [film(c, 0, 8, (36, 48), Knobs(scene=scene))[0][4] for c in clips]
        x = np.stack([to_low_res(f[None], (12, 16), noise=0)[0].ravel() for f in frames]) / 255
        y, train = [c.action for c in clips], len(clips) * 3 // 4
        model = RidgeClassifier(alpha=10).fit(x[:train], y[:train])
        return model.score(x[train:], y[train:])

    found = [accuracy(scene) for scene in (0, 0.5, 1)]
    assert found[0] < found[1] < found[2] and found[0] < 0.3 and found[2] > 0.4


def test_any_number_of_training_clips_meets_the_test_clips_of_the_default_set():
    default = _parts(768, 720, fixed_test=False)
    for count in (96, 768, 1536):
        learn, check = _parts(count, 720, fixed_test=True)
        assert check == default[1] and len(learn) == count
        assert not {c.group for c in learn} & {c.group for c in check}
    assert learn[:768] == default[0]


def test_a_set_with_knobs_is_a_set_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    monkeypatch.setitem(data_prep.DEMO_SIZES, "demo-small", (24, 12))
    plain = data_prep.open_dataset("demo-small", progress=False)
    knobs = data_prep.open_dataset("demo-small:scene=0.5", progress=False)
    assert data_prep.open_dataset("demo-small:scene=0", progress=False).root == plain.root
    assert knobs.name.endswith("-scene=0.5") and knobs.fingerprint != plain.fingerprint
    assert json.loads((knobs.root.parent / "generated.json").read_text())["knobs"] == {"scene": 0.5}


@pytest.mark.parametrize(
    "words",
    ["scene=2", "scene", "size=3", "idle=-0.1", "clips=13", "clips=0", "actor=x", "scene=nan"]
    + ["actor=inf", "clips=24.5", "scene=0.5,scene=1"],
)
def test_a_knob_out_of_range_is_refused(words):
    with pytest.raises(StatkitError, match="scene|knobs|idle|clips|actor"):
        Knobs.read(words)


@pytest.mark.parametrize("clips", [192, 384, 768])
def test_only_the_whole_demo_set_has_the_knob_clips(clips):
    """ "demo-small:clips=768" was the small set itself, with its 192 clips."""
    with pytest.raises(StatkitError, match=f"192 training clips; write demo:clips={clips}"):
        data_prep.generated_set(f"demo-small:clips={clips}")
    assert data_prep.generated_set(f"demo:clips={clips}")[1]["train"] == clips


@pytest.mark.parametrize(("idle", "mean"), [(0, 0.02), (0.25, 0.25), (0.7, 0.7), (0.85, 0.84)])
def test_idle_is_the_mean_share_without_action(idle, mean):
    places = [(group, label) for group in range(33, 53) for label in range(12)]
    rngs = [np.random.default_rng([0, 2, *place, 1]) for place in places]
    ends = [perform(rng, TABLE[ACTIONS[0]], 16, idle)[1] for rng in rngs]
    assert all(0 <= start < stop <= 16 for start, stop in ends)
    shares = [1 - (stop - start) / 16 for start, stop in ends]
    assert np.mean(shares) == pytest.approx(mean, abs=0.01)
    assert np.abs(np.array(shares) - idle).max() <= 0.12
