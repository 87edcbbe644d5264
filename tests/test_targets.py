"""Kept targets: as the live teacher's, computed once, whoever is killed on the way."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch

from data_prep import index_folder
from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.experiments.targets import CachedTeacher
from statkit.losses import STATLoss
from statkit.models import build_model
from statkit.runtime.cache import cache_folder
from statkit.sampling import train_batches
from statkit.teacher import LiveTeacher

SIZE = (24, 32)
MAPS = [(6, 8), (3, 4), (2, 2), (2, 2)]


@pytest.fixture(scope="module")
def store(dataset):
    return store_frames(dataset, FrameSettings(hr_size=SIZE), progress=False)


class CountedSource(Source):
    """Counts the batches that a teacher looks at, and takes its time over those after the first
    ``quick`` ones."""

    def __init__(self, frames, size, batches, quick=1000):
        super().__init__(frames, size)
        self.batches, self.quick = batches, quick

    def pixels(self, *arguments, **options):
        self.batches.value += 1
        if self.batches.value > self.quick:
            time.sleep(60)
        return super().pixels(*arguments, **options)


class Count:
    value = 0


def keep(store, seed=9, views=4, clips=None, fixed=False, **how):
    torch.manual_seed(seed)
    source = CountedSource(store.hr, SIZE, **{"batches": Count(), **how})
    teacher = LiveTeacher(build_model("demo", 12), source, precision="float32")
    clips = store.dataset.split(1).train if clips is None else clips
    options = {"views": views, "map_sizes": MAPS, "fixed": fixed, "progress": False}
    return CachedTeacher(teacher, store, clips, **options)


def arrays(kept):
    return [np.array(values) for values in (kept.features, *kept.maps)]


def in_another_process(folder, cache, how):
    os.environ["STATKIT_CACHE"] = cache
    torch.set_num_threads(1)
    dataset = index_folder(folder, progress=False)
    keep(store_frames(dataset, FrameSettings(hr_size=SIZE), progress=False), **how)


def start(demo_folder, **how):
    context = multiprocessing.get_context("spawn")
    arguments = (demo_folder, os.environ["STATKIT_CACHE"], how)
    process = context.Process(target=in_another_process, args=arguments)
    process.start()
    return process


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("fixed", [False, True])
def test_kept_targets_say_what_the_live_teacher_says(store, fixed):
    kept, clips = keep(store, fixed=fixed), store.dataset.split(1).train
    assert kept.features.shape[2] == (8 if fixed else 16)
    teacher = kept.teacher
    torch.manual_seed(1)
    student = build_model("demo", 12).eval()
    loss = STATLoss()
    how = {"batch_size": 8, "views": 4, "seed": 0, "epoch": 0, "fixed": fixed}
    for draw in train_batches(clips, store.lengths, 8, 1, **how):
        with torch.no_grad():
            output = student(Source(store.lr, SIZE).pixels(draw, temporal=False))
        labels = torch.from_numpy(store.dataset.labels[draw.clips])
        ours, theirs = (loss(output, labels, source(draw)).values() for source in (kept, teacher))
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_targets_of_fixed_looks_answer_for_no_other_frames(store):
    kept, clips = keep(store, fixed=True), store.dataset.split(1).train
    draws = train_batches(clips, store.lengths, 8, 1, batch_size=8, views=4, seed=0, epoch=0)
    with pytest.raises(ValueError, match="other frames"):
        kept(next(draws))


def test_the_teacher_looks_once_and_later_computations_find_it(store):
    first, second = Count(), Count()
    found = keep(store, seed=10, batches=first), keep(store, seed=10, batches=second)
    assert first.value > 0 and second.value == 0
    for one, other in zip(*map(arrays, found), strict=True):
        assert np.array_equal(one, other) and np.abs(one).sum() > 0


def test_other_weights_clips_or_views_are_other_targets(store):
    clips = store.dataset.split(1).train
    folders = {
        keep(store, seed=11, views=1).folder,
        keep(store, seed=12, views=1).folder,
        keep(store, seed=11, views=2).folder,
        keep(store, seed=11, views=1, clips=clips[:8]).folder,
    }
    assert len(folders) == 4


def test_a_killed_computation_goes_on_to_the_same_targets(store, demo_folder, one_thread):
    whole = keep(store, seed=13)
    looks = whole.teacher.source.batches.value
    whole.folder.rename(whole.folder.with_name("whole"))
    batches = multiprocessing.get_context("spawn").Value("i", 0)
    process = start(demo_folder, seed=13, batches=batches, quick=4)
    deadline = time.monotonic() + 120
    while batches.value < 5 and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert batches.value == 5 < looks and not whole.folder.exists()
    rest = Count()
    resumed = keep(store, seed=13, batches=rest)
    assert rest.value == looks - 4
    for one, other in zip(arrays(whole), arrays(resumed), strict=True):
        assert np.array_equal(one, other)


def test_two_processes_share_the_work_of_one(store, demo_folder):
    looks = keep(store, seed=14, views=3).teacher.source.batches.value
    batches = multiprocessing.get_context("spawn").Value("i", 0)
    processes = [start(demo_folder, seed=15, views=3, batches=batches) for _ in range(2)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert batches.value == looks
    assert keep(store, seed=15, views=3).teacher.source.batches.value == 0


def test_a_full_disk_is_named_and_nothing_is_left(store, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    before = set(cache_folder("targets").iterdir())
    with pytest.raises(ValueError, match="GB free"):
        keep(store, seed=16)
    left = {path.name for path in set(cache_folder("targets").iterdir()) - before}
    assert all(name.endswith(".lock") for name in left)


def test_3d_teachers_are_refused(store):
    teacher = LiveTeacher(build_model("r2plus1d_18", 12, 2), Source(store.hr, SIZE))
    with pytest.raises(ValueError, match="LiveTeacher"):
        CachedTeacher(teacher, store, np.arange(4), views=1, map_sizes=MAPS, progress=False)
