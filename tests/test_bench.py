"""The comparisons compare what they say, and tell what they could not."""

import json

import benchmarks as bench
import nbformat
import numpy as np
import pytest
import torch
from benchmarks.__main__ import main
from benchmarks.costs import draw_costs
from benchmarks.measure import Comparison, Missing, build_peers, paired, take_turns
from benchmarks.opening import first_picture
from benchmarks.start import _cells
from benchmarks.steps import _plain_step
from benchmarks.workload import (
    STAT,
    SimulatedTargets,
    Stage,
    Workload,
    map_sizes,
    new_network,
    simulated_store,
)

from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.experiments import Experiment
from statkit.experiments.settings import ExperimentConfig
from statkit.recipes import RECIPES
from statkit.sampling import train_batches
from statkit.teacher import LiveTeacher


@pytest.fixture
def work(dataset, tmp_path):
    return Workload(Experiment(dataset, ExperimentConfig(), progress=False, device="cpu"), tmp_path)


def test_ratios_are_of_neighbours_and_a_goal_says_which_way_up():
    mine, theirs = np.array([1.0, 10.0, 2.0]), np.array([2.0, 20.0, 4.0])
    cost = paired("ours", "other", mine, theirs, goal="at most 0.6")
    speed = paired("ours", "other", mine, theirs, goal="at least 3")
    assert (cost.ratio, cost.low, cost.high) == (0.5, 0.5, 0.5) and cost.met
    assert speed.ratio == 2 and speed.met is False
    assert paired("ours", "other", mine, theirs).met is None


def test_calls_take_turns_after_rounds_that_do_not_count():
    order = []
    calls = {name: (lambda n=name: order.append(n)) for name in "xy"}
    times = take_turns(calls, repeats=3, warm=2)
    assert len(order) == 10 and sorted(order[:2]) == sorted(order[-2:]) == ["x", "y"]
    assert {len(values) for values in times.values()} == {3}


def test_a_peer_that_is_not_there_is_named_and_the_others_go_on():
    def absent():
        import no_such_library  # noqa: F401

    calls, missing = build_peers("what", {"gone": absent, "here": lambda: lambda: None})
    assert list(calls) == ["here"]
    assert missing[0].other == "gone" and "no_such_library" in missing[0].reason


def test_the_table_the_figure_and_the_data_say_the_same(work, monkeypatch, tmp_path, capsys):
    line = Comparison("ours", "theirs", 0.5, 0.4, 0.6, 1.0, 2.0, goal="at most 1.00")
    none = Missing("ours", "absent", "not installed")
    monkeypatch.setattr(bench, "BENCHMARKS", {"a": lambda w: [line, none], "c": lambda w: [none]})
    file = tmp_path / "numbers" / "a.json"
    bench.run_benchmarks(work.experiment, None, file, tmp_path)
    found = json.loads(file.read_text())
    assert (found["a"]["ratio"], found["a"]["low"], found["a"]["high"]) == (0.5, 0.4, 0.6)
    assert found["a"]["met"] is True and len(found["a"]["lines"]) == 2
    assert "not installed" in found["c"]["skipped"]
    table = (tmp_path / "costs.md").read_text()
    assert "0.5 (0.4-0.6) | at most 1.00: met" in table and table.count("skipped") == 2
    assert table.splitlines()[2] in capsys.readouterr().out
    assert (tmp_path / "costs.png").is_file()


def test_an_unknown_letter_is_refused(work):
    with pytest.raises(ValueError, match="no benchmark z; there are a, b"):
        bench.run_benchmarks(work.experiment, ["a", "z"])


def test_letters_come_with_commas_or_spaces(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--only", "x,y", "z"])
    assert stop.value.code == 2
    assert "no benchmark x, y, z" in capsys.readouterr().err


def test_reading_and_the_camera_are_compared_for_real(work):
    lines = [*bench.bench_lowres(work), *bench.bench_reading(work)]
    measured = [line for line in lines if isinstance(line, Comparison)]
    assert {"OpenCV INTER_AREA", "torchvision, antialias", "PyAV", "OpenCV"} <= {
        line.other for line in measured
    }
    assert all(line.low <= line.ratio <= line.high and line.ours > 0 for line in measured)


def test_simulated_targets_and_frames_take_real_steps(tmp_path):
    store = simulated_store(tmp_path, 40, FrameSettings(hr_size=(24, 32)))
    teacher = LiveTeacher(new_network("demo", 8, seed=1), Source(store.hr, (24, 32)))
    student = new_network("demo", 8, seed=0)
    sizes = map_sizes(student, (24, 32))
    kept = SimulatedTargets(teacher, tmp_path, 40, 16, sizes)
    stage = Stage.begin(student, Source(store.lr, (24, 32)), store, RECIPES["quick"], "cpu")
    clips = store.dataset.split(1).train
    draw = next(train_batches(clips, store.lengths, 8, 1, batch_size=8, views=2, seed=0, epoch=0))
    before = stage.student.head.weight.detach().clone()
    stage.step(draw, kept, STAT)
    assert not torch.equal(before, stage.student.head.weight)
    assert [tuple(m.shape[-2:]) for m in kept(draw).attention_maps] == sizes


def test_the_plain_loop_learns(dataset):
    store = store_frames(dataset, FrameSettings(hr_size=(24, 32)), progress=False)
    teacher, student = (new_network("demo", 8, seed=seed) for seed in (1, 0))
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    before = student.head.weight.detach().clone()
    _plain_step(store, 2, (12, 16), teacher.eval(), student, optimizer, "cpu")
    assert not torch.equal(before, student.head.weight)


def test_a_notebooks_time_is_told_by_cell(tmp_path):
    cell = {"cell_type": "code", "source": ["\n", "work()\n"], "metadata": {}}
    cell["metadata"]["papermill"] = {"duration": 3.0}
    book = {"metadata": {"papermill": {"duration": 5.0}}, "cells": [cell]}
    file = tmp_path / "01_x.ipynb"
    file.write_text(json.dumps(book))
    assert _cells(file) == (5.0, [("`work()`", 3.0)])


def test_every_line_is_a_dot_in_the_figure():
    line = Comparison("ours", "theirs", 0.5, 0.4, 0.6, 1.0, 2.0, goal="at most 1.00")
    figure = draw_costs([("a", line), ("b", line)])
    assert figure.shown["ratio"].tolist() == [0.5, 0.5] and "0.5" in figure.alt


def test_a_plan_is_held_against_the_runs_that_it_planned(work, dataset, monkeypatch):
    monkeypatch.setattr(bench.plan, "open_dataset", lambda *_, **__: dataset)
    monkeypatch.setattr(bench.plan, "EPOCHS", 1)
    monkeypatch.setattr(bench.plan, "TABLE_3", ("teacher", "stat"))
    [line] = bench.bench_plan(work)
    assert line.ratio == pytest.approx(max(line.ours / line.theirs, line.theirs / line.ours))
    assert "teacher" in line.detail and "stat" in line.detail and line.goal == "at most 1.25"


def test_the_way_to_the_first_picture_is_timed(tmp_path):
    book = nbformat.v4.new_notebook()
    picture = (
        "from IPython.display import Image, display\ndisplay(Image(b'\\x89PNG', format='png'))"
    )
    sources = ["seed: int = 0", "assert figures; print('words')", picture, "1 / 0"]
    book.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, tmp_path / "book.ipynb")
    wall, processor, cell = first_picture(tmp_path / "book.ipynb", tmp_path / "cache")
    assert wall > 0 and processor > 0 and cell == picture.splitlines()[0]
    book.cells = book.cells[3:]
    nbformat.write(book, tmp_path / "book.ipynb")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        first_picture(tmp_path / "book.ipynb", tmp_path / "cache")
