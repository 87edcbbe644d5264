"""Several processes train one network as one process does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from together import CASES, new_network, train_all

from statkit.experiments.results import read_results

pytest.importorskip("accelerate", reason="the extra 'cluster' is not installed")

TESTS = Path(__file__).resolve().parent
COMMON = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(TESTS.parent)}
KEPT = [".lock", "result.json", "run.json", "weights.pt"]
NOTEBOOK = """
from dataclasses import replace
from accelerate import notebook_launcher
from data_prep import index_folder
from statkit.experiments import Experiment
from statkit.experiments.settings import DEMO

def experiment():
    quick = replace(DEMO.recipe, epochs=1)
    frames = replace(DEMO.frames, hr_size=(24, 32))
    setting = replace(DEMO, recipe=quick, frames=frames, student_size=(24, 32))
    return Experiment(index_folder({folder!r}, progress=False), setting, progress=False)

notebook_launcher(lambda: experiment().result("student"), num_processes=2, use_port="{port}")
print("trained by", experiment().result("student").device)
"""
QUICK = ["--epochs", "1", "--hr-size", "24x32", "--student-size", "24x32", "--batch-size", "16"]


def launch(count, *words, **environment):
    """What ``accelerate launch`` does; without GPUs, its processes share the CPU."""
    own = ["--multi_gpu", "--num_processes", str(count), "--num_machines", "1"]
    own += ["--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"]
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *own, *words],
        env=os.environ | COMMON | environment,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def alone(demo_folder):
    threads = torch.get_num_threads()
    yield train_all(demo_folder)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("count", [2, 3])
def test_processes_together_come_to_the_weights_of_one(count, alone, demo_folder, tmp_path):
    launch(count, str(TESTS / "together.py"), str(demo_folder), str(tmp_path))
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(count)]
    assert [found["processes"] for found in ranks] == [count] * count
    for case in CASES:
        weights, history = alone[case]
        start = new_network(0).stem[0].weight
        assert (weights["stem.0.weight"] - start).abs().max() > 3e-3  # far more than what is off
        for name, values in weights.items():
            own = [found[case][0][name] for found in ranks]
            assert all(torch.equal(own[0], other) for other in own[1:]), name
            # Of a batch of 2, three processes count every clip three times, which the correction of
            # a variance for the number of values takes for more values.
            off = 1e-3 if count == 3 and name.endswith("running_var") else 1e-4
            assert torch.allclose(own[0], values, rtol=0, atol=off), name
        for epoch, expected in zip(ranks[0][case][1], history, strict=True):
            assert epoch == pytest.approx(expected, abs=1e-4)


def test_a_launched_command_writes_once_and_says_who_worked(demo_folder, tmp_path):
    words = ["train", "--data", str(demo_folder), *QUICK, "--rows", "teacher", "stat"]
    own = {"STATKIT_CACHE": str(tmp_path / "cache")}
    said = launch(2, "-m", "statkit.cli", *words, "--out", str(tmp_path / "two.csv"), **own)
    assert said.count("stat               seed 0") == said.count("written:") == 1
    [teacher, student] = read_results(tmp_path / "two.csv")
    assert teacher.device.startswith("2 x ") and student.epochs == 1
    runs = sorted((tmp_path / "cache" / "runs").iterdir())
    assert [run.name.split("-")[0] for run in runs] == ["stat", "teacher"]
    assert all(sorted(file.name for file in run.iterdir()) == KEPT for run in runs)


def test_a_notebook_starts_them_too(demo_folder, tmp_path):
    """In a fresh process: a launcher forks, and a fork of a process whose threads have worked can
    hang."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        code = NOTEBOOK.format(folder=str(demo_folder), port=free.getsockname()[1])
    own = {"STATKIT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | COMMON | own,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trained by 2 x " in done.stdout
