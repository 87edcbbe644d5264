"""What a grid takes, told before it starts: its arithmetic against what the runs then do."""

import math
from dataclasses import replace

import pytest
import torch

from statkit.cli.commands import main
from statkit.experiments import Experiment
from statkit.experiments import plan as planning
from statkit.experiments.grid import Job, plan, run_job
from statkit.experiments.plan import Plan, Training, imagined_dataset, plan_runs, step_memory
from statkit.experiments.presets import PRESETS
from statkit.experiments.settings import DEMO
from statkit.runtime.cache import cache_folder

QUICK = replace(
    DEMO,
    frames=replace(DEMO.frames, hr_size=(24, 32)),
    student_size=(24, 32),
    recipe=replace(DEMO.recipe, epochs=2, views=2, batch_size=16),
)
UCF101 = imagined_dataset(9537, 101)


@pytest.fixture
def by_the_clock(monkeypatch):
    """A step takes 2 seconds per clip, an answer 1."""
    monkeypatch.setattr(planning, "_seconds_per_clip", lambda one, row: 2.0)
    monkeypatch.setattr(planning, "_seconds_per_look", lambda one, row: 1.0)


def test_hours_are_steps_targets_and_evaluation(by_the_clock, dataset):
    """48 training and 24 test clips; 3 batches of 16; 2 views of 16 frames, 8 at a time."""
    jobs = plan("3", dataset, QUICK, [5], [1], ["teacher", "student", "stat", "sat"])
    found = plan_runs(jobs, dataset, device="cpu")
    assert [(t.row, t.epochs, t.steps) for t in found.trainings] == [
        (row, 2, 6) for row in ("teacher", "student", "stat", "sat")
    ]
    assert all(t.seconds == 6 * 16 * 2.0 for t in found.trainings)
    assert found.other["evaluation"] == 4 * 24 * 1.0
    assert found.other["teacher's targets"] == 2 * 48 * 2 * 1.0  # both rows share them
    assert found.seconds == 4 * 192 + 96 + 192 + found.other.get("decoding", 0)


def test_what_is_planned_is_what_is_trained_and_written(dataset, tmp_path, monkeypatch):
    """Trainings, steps, parameters, and the bytes of frames and targets, after a real run."""
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    rows = ("stat_rc_ut", "two_stream")
    [job] = plan("3", dataset, QUICK, [0], [1], rows)
    found = plan_runs([job], dataset, device="cpu")
    assert not list((tmp_path / "runs").iterdir()) and not (tmp_path / "targets").exists()
    list(run_job(job, dataset, device="cpu"))
    trained = {folder.name.split("-")[0]: folder for folder in (tmp_path / "runs").iterdir()}
    assert {t.row for t in found.trainings} == {n for n in trained if "two_stream" not in n}
    weights = torch.load(trained["ut"] / "weights.pt", weights_only=True)
    counted = sum(v.numel() for n, v in weights.items() if "running" not in n and "num_b" not in n)
    assert {t.parameters for t in found.trainings} == {counted}
    [flow] = (tmp_path / "flow").glob("*.npy")
    assert flow.stat().st_size == pytest.approx(found.disk["optical flow"], rel=0.01)
    assert found.other["optical flow"] > 0
    for what, folder in (("stored frames", "frames"), ("teacher's targets", "targets")):
        written = sum(f.stat().st_size for f in (tmp_path / folder).rglob("*.npy"))
        assert written == pytest.approx(found.disk[what], rel=0.01)
    again = plan_runs([job], dataset, device="cpu")
    assert all(t.done for t in again.trainings) and "stored frames" not in again.disk
    assert sum(t.seconds for t in again.trainings if not t.done) == 0


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_planned_without_its_data(by_the_clock, name):
    preset = PRESETS[name]
    jobs = plan(preset.table, UCF101, preset.config, [0], preset.splits, preset.rows)
    found = plan_runs(jobs, UCF101, device="cpu")
    assert found.asked == 3 * len(preset.rows)
    single = [t for t in found.trainings if t.epochs == 50]
    assert {t.steps for t in single} == {50 * math.ceil(9537 / 256)}
    # Every split has its own teacher and student, and one unlabelled stage per stream.
    count = {
        row: sum(t.row == row for t in found.trainings) for row in ("teacher", "student", "ut")
    }
    assert set(count.values()) == {3}
    frames = preset.config.frames
    assert found.disk["stored frames"] == len(UCF101) * frames.frames_per_clip * 3 * (
        256 * 340 + 12 * 16
    )
    kept = found.disk.get("teacher's targets", 0)
    assert (kept > 100e9) is (preset.config.backbone == "resnet34")  # 3-D teachers look live
    said = found.text()
    assert "WARNING" in said and "STATKIT_CACHE" in said
    assert "--micro-batch" in said or "not even one clip fits" in said


def test_memory_grows_with_pixels_and_is_near_what_autograd_keeps(dataset):
    small, large = (
        step_memory(
            _experiment(dataset, replace(QUICK, student_size=None, frames=frames)), "student"
        )
        for frames in (QUICK.frames, replace(QUICK.frames, hr_size=(48, 64)))
    )
    assert small[:2] == large[:2] and 3.5 < large[2] / small[2] < 4.5
    one = _experiment(dataset, replace(QUICK, recipe=replace(QUICK.recipe, precision="float32")))
    network, kept = one.new_network("student").train(), {}
    own = {p.untyped_storage()._cdata for p in network.parameters()}

    def keep(values):
        if values.untyped_storage()._cdata not in own:
            kept[values.untyped_storage()._cdata] = values.untyped_storage().nbytes()
        return values

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values):
        output = network(torch.rand(1, 8, 3, 24, 32))
    assert step_memory(one, "student")[2] == pytest.approx(sum(kept.values()), rel=0.1)
    assert output.logits.requires_grad


def _experiment(dataset, config):
    one = Experiment(dataset, config, device="cpu", progress=False)
    planning._without_frames(one)
    return one


def test_warnings_are_there_where_disk_or_memory_will_not_do():
    training = Training("stat", "SAT+TAT", 1, 1, 1, (10**9, 10**9), 10**6, False, 1.0)
    much = Plan((training,), 1, {}, {"stored frames": 10**18}, torch.device("cpu"))
    disk, memory = much.warnings()
    assert "1000000000 GB are written" in disk and "--micro-batch" in memory
    assert str(cache_folder()) in disk
    little = replace(training, memory=(10, 10), batch=2)
    assert Plan((little,), 1, {}, {"stored frames": 1}, torch.device("cpu")).warnings() == []


def test_measured_steps_of_a_few_clips_are_continued_in_a_straight_line(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(planning.time, "perf_counter", lambda: clock[0])

    def work(count):
        clock[0] += 0.2 + 0.1 * count

    # 0.3 s for one clip, 0.4 for two, 0.6 for four, which is enough: 0.2 + 3.2 for 32.
    assert planning._time(work, 32, torch.device("cpu")) == pytest.approx(3.4 / 32)
    assert planning._time(work, 2, torch.device("cpu")) == pytest.approx(0.4 / 2)


def test_the_commands_say_it_and_do_nothing(dataset, demo_folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    quick = ["--epochs", "1", "--hr-size", "24x32", "--student-size", "24x32", "--device", "cpu"]
    words = ["--data", str(demo_folder), *quick, "--rows", "student", "stat", "--plan"]
    assert main(["tables", *words, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "2 results from 3 trainings" in said and "in all, one after the other" in said
    assert (
        main(["train", "--plan", "--clips", "40", "--classes", "4", "--backbone", "demo", *quick])
        == 0
    )
    said = capsys.readouterr().out
    assert "5 results from 5 trainings" in said and "stored frames" in said
    assert not list(tmp_path.rglob("*.pt")) and not list(tmp_path.rglob("*.csv"))
    assert Job("", (), ("stat",), 0).rows == ("stat",)
