"""Generated clips that are drawn when they are first used: the same set, however it is drawn."""

import filecmp
import subprocess
import sys

import numpy as np
import pytest

import data_prep
from data_prep import demo, on_demand, open_dataset
from data_prep.demo import card_of
from data_prep.film import Clip, Knobs
from data_prep.on_demand import open_on_demand
from statkit.data.frames import FrameSettings
from statkit.data.stored import store_frames
from statkit.evaluation import evaluate
from statkit.experiments import Experiment, networks
from statkit.experiments.settings import DEMO
from statkit.shipped import manifest

SETTINGS = FrameSettings(8, (24, 32))
STORED = (SETTINGS, DEMO.frames)


@pytest.fixture(scope="module")
def whole(dataset):
    """The frames of the same set, drawn as a whole: in the cache of all tests."""
    return {settings: store_frames(dataset, settings, progress=False) for settings in STORED}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The set of the tests, in a cache of its own; nothing but its first clip is drawn."""
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    monkeypatch.setitem(data_prep.DEMO_SIZES, "demo-small", (48, 24))
    return open_dataset("demo-small")


def drawn(dataset):
    return sorted(path.name for path in dataset.root.rglob("*.mp4"))


def test_it_is_known_before_it_is_drawn(small, dataset):
    assert drawn(small) == [small.names[0].split("/")[1]]
    assert (small.names, small.classes) == (dataset.names, dataset.classes)
    assert small.fingerprint == dataset.fingerprint and small.generated
    for key in ("labels", "num_frames"):
        assert np.array_equal(getattr(small, key), getattr(dataset, key))
    for ours, theirs in zip(small.split(1), dataset.split(1), strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(small.truth.boxes, dataset.truth.boxes)
    assert np.array_equal(small.truth.intervals, dataset.truth.intervals)
    assert np.array_equal(small.truth.mask(70), dataset.truth.mask(70))


def test_a_clip_is_drawn_once_and_again_when_it_is_damaged(small, dataset):
    path = small.path(20)
    assert filecmp.cmp(path, dataset.path(20), shallow=False) and len(drawn(small)) == 2
    before = path.stat().st_mtime_ns
    assert small.path(20).stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes()[:1000])
    assert filecmp.cmp(small.path(20), dataset.path(20), shallow=False)


def test_drawn_as_a_whole_it_is_the_set_byte_for_byte(small, demo_folder):
    small.require(range(len(small)))
    folder = small.root.parent
    for path in (path for path in demo_folder.rglob("*") if path.is_file()):
        assert filecmp.cmp(path, folder / path.relative_to(demo_folder), shallow=False)
    assert len(list(folder.rglob("*.*"))) == len(list(demo_folder.rglob("*.*")))
    assert open_dataset("demo-small").fingerprint == small.fingerprint
    assert demo.make_demo(folder, train=48, test=24) == folder


def test_frames_are_stored_when_they_are_used(whole, small):
    whole = whole[SETTINGS]
    store = store_frames(small, SETTINGS, progress=False)
    assert store.hr.shape == whole.hr.shape and store.missing.all()
    assert np.array_equal(store.lr[5], whole.lr[5])
    assert np.array_equal(store.hr[[5, 9], 2:4], whole.hr[[5, 9], 2:4])
    assert np.flatnonzero(~store.missing).tolist() == [5, 9] and len(drawn(small)) == 3
    again = store_frames(open_dataset("demo-small"), SETTINGS, progress=False)
    assert np.array_equal(again.hr, whole.hr)  # as an array it is the whole set
    assert not (store.folder / "missing.npy").exists() and not store.missing.any()
    last = store_frames(small, SETTINGS, progress=False)
    assert isinstance(last.lr, np.memmap) and np.array_equal(last.lr, whole.lr)


def test_a_measurement_draws_the_clips_that_it_measures(whole, small, dataset):
    store = store_frames(small, DEMO.frames, progress=False)
    network = Experiment(dataset, DEMO, fresh=True, progress=False).new_network("student").eval()
    test, found = dataset.split(1).test, []
    for one in (store, whole[DEMO.frames]):
        found.append(evaluate(network, networks.Source(one.lr, (36, 48)), one, test))
    assert np.array_equal(found[0].logits, found[1].logits)
    assert found[0].on_actor == found[1].on_actor
    assert np.array_equal(np.flatnonzero(~store.missing), test)


FILL = """
import sys
from pathlib import Path
from data_prep.demo import card_of
from data_prep.on_demand import open_on_demand
from statkit.data.frames import FrameSettings
from statkit.data.stored import store_frames
dataset = open_on_demand(Path(sys.argv[1]), card_of(48, 24))
store = store_frames(dataset, FrameSettings(8, (24, 32)), progress=False)
print("ready", flush=True)
input()
store.fill()
"""


def test_two_processes_fill_one_store(whole, small):
    command = [sys.executable, "-c", FILL, str(small.root.parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for one in both:
        while one.stdout.readline().strip() != "ready":
            assert one.poll() is None
    for one in both:
        one.stdin.write("\n")
        one.stdin.close()
    assert [one.wait() for one in both] == [0, 0]
    for one in both:
        one.stdout.close()
    store = store_frames(small, SETTINGS, progress=False)
    assert store.missing is None and np.array_equal(store.hr, whole[SETTINGS].hr)


def test_what_a_shared_cache_has_half_drawn_is_left_as_it_is(small, whole, tmp_path, monkeypatch):
    store_frames(small, SETTINGS, progress=False).fill([3])
    before = drawn(small)
    monkeypatch.setenv("STATKIT_SHARED_CACHE", str(tmp_path))
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path / "own"))
    mine = open_dataset("demo-small")
    store = store_frames(mine, SETTINGS, progress=False)
    assert np.array_equal(store.lr[30:33], whole[SETTINGS].lr[30:33])
    assert drawn(small) == before and len(drawn(mine)) == 4
    mine.require(range(len(mine)))
    store.fill()
    monkeypatch.setenv("STATKIT_SHARED_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path / "other"))
    last = open_dataset("demo-small")
    assert last.root.parent.is_symlink() and drawn(last) == drawn(mine)
    assert store_frames(last, SETTINGS, progress=False).folder.is_symlink()


def test_an_encoder_that_writes_other_files_draws_the_set_as_a_whole(
    small, dataset, monkeypatch, tmp_path
):
    index = on_demand._index()
    monkeypatch.setattr(on_demand, "_index", lambda: index | {"bytes": index["bytes"] + 1})
    whole = open_dataset("demo-small", progress=False)
    assert whole.draw is None and whole.fingerprint == dataset.fingerprint
    assert open_dataset("demo-small", progress=False).fingerprint == dataset.fingerprint


def test_sets_without_an_index_are_not_drawn_on_demand(tmp_path):
    for card in (card_of(48, 24, seed=1), card_of(48, 24, size=(48, 64)), card_of(1536, 720)):
        assert open_on_demand(tmp_path / "set", card) is None
    assert open_on_demand(tmp_path / "set", card_of(48, 24, knobs=Knobs(scene=1))) is None
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("clip", [Clip("GolfSwing", 3, 2), Clip("Run", 61, 1)])
def test_the_index_is_that_of_today(tmp_path, clip):
    """Otherwise: draw the whole set with make_demo, then data_prep.on_demand.write_index."""
    index, card = on_demand._index(), card_of(768, 720)
    row = index["names"].tolist().index(clip.name)
    (tmp_path / "videos" / clip.action).mkdir(parents=True)
    truth = demo.draw_clips(tmp_path, card, [clip], 1)
    assert (tmp_path / "videos" / clip.name).stat().st_size == index["bytes"][row]
    for key in ("boxes", "masks", "intervals"):
        assert np.array_equal(truth[key][0], index[key][row])


def test_with_an_empty_cache_what_ships_is_shown_and_nothing_is_trained(tmp_path, monkeypatch):
    def train(*_, **__):
        raise AssertionError("a network is trained")

    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(networks, "train_transfer", train)
    dataset = open_dataset("demo")
    fingerprints = {entry["data_fingerprint"] for entry in manifest().values()}
    assert {dataset.fingerprint} == fingerprints
    kit = Experiment(dataset, DEMO, device="cpu", progress=False)
    rows = {row for name, entry in manifest().items() if name == kit.run_name(row := entry["row"])}
    assert rows >= {"teacher", "student", "sat", "tat", "stat", "stat_rc", "ut"}
    for row in rows:
        entry = manifest()[kit.run_name(row)]
        assert kit.result(row).prec1 == entry["result"]["prec1"]
        assert kit.history(row) == entry["history"]
        assert kit.predict(row, kit.split.test[7]).answer in dataset.classes
    assert len(drawn(dataset)) == 2 and not list(tmp_path.rglob("weights.pt"))
    with pytest.raises(AssertionError, match="is trained"):
        Experiment(dataset, DEMO, device="cpu", progress=False, fresh=True).network("student")
