"""What the method must not see, seen from outside: HR frames at test time, test clips in training,
labels in the unlabelled stage; and a teacher that stays as it is."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep import index_folder
from data_prep.prepare import How, prepare_set
from statkit import training
from statkit.cli.commands import main
from statkit.data.clips import DatasetError
from statkit.data.flow import flow_frames
from statkit.data.frames import FrameSettings
from statkit.data.stored import Source
from statkit.experiments import Experiment
from statkit.experiments.settings import DEMO
from statkit.schedules import rolling_weights

QUICK = replace(
    DEMO,
    frames=replace(DEMO.frames, hr_size=(24, 32)),
    student_size=(24, 32),
    recipe=replace(DEMO.recipe, epochs=1, views=2, batch_size=16),
)


@pytest.fixture
def own_folder(demo_folder, tmp_path, monkeypatch):
    """A cache and clips that a test may spoil."""
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(demo_folder, tmp_path / "clips")


def experiment(dataset, config=QUICK, **options):
    return Experiment(dataset, config, device="cpu", progress=False, **options)


def test_a_student_is_measured_alike_without_any_hr_frame(own_folder, tmp_path):
    """Neither the clips nor the stored HR frames are on the disk any more."""
    dataset = index_folder(own_folder, progress=False)
    rows, first = ("student", "stat", "flow", "two_stream"), experiment(dataset)
    before = {row: first.evaluate(row) for row in rows}
    first.evaluate("teacher")
    [hr] = (tmp_path / "cache" / "frames").glob("*/hr.npy")
    hr.unlink()
    shutil.rmtree(own_folder / "videos")
    again = experiment(dataset)
    for row in rows:
        found = again.evaluate(row)
        assert torch.equal(found.logits, before[row].logits)
        assert (found.prec1, found.prec5) == (before[row].prec1, before[row].prec5)
    with pytest.raises(DatasetError, match="HR frames are asked for"):
        again.evaluate("teacher")


def test_a_prepared_set_without_hr_frames_serves_students(own_folder, tmp_path, capsys):
    settings, folder = FrameSettings(8, (24, 32)), tmp_path / "set"
    prepare_set("folder", own_folder, folder, settings=settings, how=How(1, progress=False))
    words = ["--data", str(folder), "--backbone", "demo", "--hr-size", "24x32", "--epochs", "1"]
    words += ["--student-size", "24x32", "--device", "cpu", "--rows"]
    assert main(["train", *words, "teacher", "stat"]) == 0
    trained = capsys.readouterr().out
    for kept in (tmp_path / "cache" / "runs").glob("*/result.json"):
        kept.unlink()
    (folder / "prepared" / "hr.npy").unlink()
    assert main(["evaluate", *words, "stat"]) == 0
    measured = capsys.readouterr().out
    assert "without its HR frames" in measured
    [line] = [line for line in measured.splitlines() if line.startswith("stat ")]
    assert line in trained
    assert main(["evaluate", *words, "teacher"]) == 1
    assert "HR frames are asked for" in capsys.readouterr().err
    assert main(["prepare", "--verify", str(folder)]) == 1
    assert "hr.npy is not there" in capsys.readouterr().err


def test_flow_is_of_the_lr_frames_whatever_the_hr_frames_show(own_folder, tmp_path):
    dataset = index_folder(own_folder, progress=False)
    low = experiment(dataset).store.lr
    expected = np.stack([flow_frames(clip) for clip in low])
    [file] = (tmp_path / "cache" / "frames").glob("*/hr.npy")
    high = np.load(file, mmap_mode="r+")
    high[:] = np.random.default_rng(0).integers(0, 256, high.shape, np.uint8)
    high.flush()
    found = experiment(dataset).source("flow").frames
    assert np.array_equal(found, expected) and found.std() > 1


@pytest.mark.parametrize("start", ["random", "probe"])
def test_no_test_clip_is_looked_at_in_training(dataset, monkeypatch, start):
    """Every pixel that training reads comes through a source: students', teachers', targets'."""
    recipe, seen = replace(QUICK.recipe, start=start), set()
    one = experiment(dataset, replace(QUICK, recipe=recipe), seed=21)
    look = Source.pixels

    def spy(source, draw, **how):
        seen.update(draw.clips.tolist())
        return look(source, draw, **how)

    monkeypatch.setattr(Source, "pixels", spy)
    for row in ("teacher", "student", "ut", "stat_rc_ut", "stat_all", "flow_stat"):
        seen.clear()
        one.network(row)
        assert seen == set(one.split.train.tolist()), row
    assert not set(one.split.train) & set(one.split.test)


def test_students_leave_the_teacher_as_it_was(dataset):
    """In the file, and in memory, its running statistics included."""
    one = experiment(dataset, seed=22)
    teacher, file = one.network("teacher"), one._weights("teacher")

    def digest():
        state = b"".join(values.numpy().tobytes() for values in teacher.state_dict().values())
        return hashlib.sha256(file.read_bytes()).digest(), hashlib.sha256(state).digest()

    before = digest()
    for row in ("sat", "stat_rc_ut", "kd", "at", "stat_from_teacher"):
        one.network(row)
        assert digest() == before, row
    live = experiment(dataset, seed=22, live_teacher=True)
    teacher = live.network("teacher")
    live.network("stat")
    assert digest() == before and not teacher.training


def test_a_rolling_row_is_trained_with_the_papers_phases(dataset, monkeypatch):
    """A fifth of the epochs each, and the last one held."""
    recipe, used = replace(QUICK.recipe, epochs=10), []
    one = experiment(dataset, replace(QUICK, recipe=recipe), seed=23)
    one.teacher("stat_rc")
    train = training.take_step

    def spy(student, source, batch, labels, teacher, loss, *rest):
        used.append(loss)
        return train(student, source, batch, labels, teacher, loss, *rest)

    monkeypatch.setattr(training, "take_step", spy)
    one.network("stat_rc")
    steps = len(used) // 10
    expected = [rolling_weights(epoch, 2) for epoch in range(10) for _ in range(steps)]
    assert [(loss.sat_blocks, loss.tat_layers) for loss in used] == expected
    assert len({loss.sat_blocks for loss in used}) == 4
    assert {(loss.ce, loss.sat, loss.tat) for loss in used} == {(1 / 3,) * 3}
