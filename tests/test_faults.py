"""What a user does wrong is one line that names it; a broken file of the cache is named, set aside
and made anew."""

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from statkit import cli
from statkit.cli.commands import main
from statkit.data.clips import DatasetError
from statkit.data.stored import store_frames
from statkit.experiments import Experiment
from statkit.experiments.settings import DEMO
from statkit.runtime.cache import (
    read_cached,
    save_text,
)

QUICK = replace(
    DEMO,
    frames=replace(DEMO.frames, hr_size=(24, 32)),
    student_size=(12, 16),
    recipe=replace(DEMO.recipe, epochs=1, views=2, batch_size=16),
)
REPOSITORY = Path(__file__).parents[1]


def experiment(dataset, **how):
    return Experiment(dataset, QUICK, device="cpu", progress=False, **how)


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("name", ["weights.pt", "run.json", "result.json"])
def test_a_half_written_file_of_a_run_is_named_and_made_anew(dataset, name, capsys):
    first = experiment(dataset)
    result, weights = first.result("stat"), first.network("stat").state_dict()
    file = first.folder("stat") / name
    cut(file)
    again = experiment(dataset)
    assert again.result("stat").prec1 == result.prec1
    for key, values in again.network("stat").state_dict().items():
        assert torch.equal(values, weights[key])
    said = capsys.readouterr().err
    assert f"{file} is broken" in said and file.with_name(f"{name}.broken").is_file()
    assert experiment(dataset).history("stat")


def test_half_a_checkpoint_is_set_aside_and_training_starts_again(dataset, capsys):
    whole = experiment(dataset)
    weights = whole.network("student").state_dict()
    folder = whole.folder("student")
    (folder / "weights.pt").unlink()
    torch.save({"key": "another"}, folder / "checkpoint.pt")
    cut(folder / "checkpoint.pt")
    again = experiment(dataset).network("student").state_dict()
    assert all(torch.equal(again[key], values) for key, values in weights.items())
    assert "checkpoint.pt is broken" in capsys.readouterr().err


def test_half_of_stored_frames_is_made_anew(dataset, capsys):
    store = store_frames(dataset, QUICK.frames, progress=False)
    wanted = np.array(store.lr)
    cut(store.folder / "lr.npy")
    again = store_frames(dataset, QUICK.frames, progress=False)
    assert np.array_equal(again.lr, wanted) and "cut short" in capsys.readouterr().err


def test_half_of_the_teachers_targets_is_made_anew(dataset, capsys):
    config = replace(QUICK, recipe=replace(QUICK.recipe, epochs=2))
    how = {"device": "cpu", "progress": False}
    kept = Experiment(dataset, config, **how).teacher("stat")
    wanted = np.array(kept.maps[0])
    cut(kept.folder / "map1.npy")
    again = Experiment(dataset, config, **how).teacher("stat")
    assert np.array_equal(again.maps[0], wanted) and "is broken" in capsys.readouterr().err


def test_what_is_set_aside_does_not_pile_up(tmp_path):
    folder = tmp_path / "frames"
    for content in ("one", "two"):
        folder.mkdir()
        (folder / content).write_text("half")
        assert read_cached(folder, lambda _: int("half")) is None
    assert [path.name for path in (tmp_path / "frames.broken").iterdir()] == ["two"]


def test_one_class_and_an_empty_part_are_refused_before_anything_is_made(dataset):
    one = replace(dataset, classes=("walk",), labels=np.zeros_like(dataset.labels))
    with pytest.raises(DatasetError, match="one class, 'walk'"):
        experiment(one)
    split = dataset.split(1)
    for part in ("train", "test"):
        empty = {1: split._replace(**{part: np.array([], np.int64)})}
        with pytest.raises(DatasetError, match=f"0 {part}"):
            experiment(replace(dataset, splits=empty))


def test_commands_without_their_files_are_one_line(tmp_path, capsys):
    (tmp_path / "1.ipynb").write_text("no notebook")
    grade = ["grade", str(tmp_path / "1.ipynb")]
    claims = ["claims", "--results", str(tmp_path), "--out", str(tmp_path / "c.md")]
    for words, said in ((grade, "is not a notebook"), (claims, "no runs in it")):
        assert main(words) == 1
        error = capsys.readouterr().err
        assert said in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "c.md").exists()


def test_results_without_a_place_are_one_line_before_any_work(tmp_path, capsys):
    (file := tmp_path / "a.txt").write_text("text")
    places = {
        "train": tmp_path,
        "evaluate": file / "runs.csv",
        "forecast": tmp_path,
        "tables": file,
    }
    for command, place in places.items():
        assert main([command, "--data", "no/such/folder", "--out", str(place)]) == 1
        error = capsys.readouterr().err.strip()
        words = "a file, where a folder" if file in (place, place.parent) else "a folder, where a"
        assert words in error and str(place) in error.replace(str(file), str(place))
        assert len(error.splitlines()) == 1 and os.listdir(tmp_path) == ["a.txt"]
    with pytest.raises(IsADirectoryError) as failed:
        save_text(tmp_path, "text")
    assert failed.value.filename == str(tmp_path) and os.listdir(tmp_path) == ["a.txt"]


def test_unlabelled_clips_without_classes_are_told_how_to_prepare_them(tmp_path, capsys):
    (tmp_path / "1.mp4").write_bytes(b"clip")
    words = ["train", "--data", "demo-small", "--unlabelled", str(tmp_path), "--device", "cpu"]
    assert main(words) == 1
    assert f"statkit prepare unlabelled --source {tmp_path}" in capsys.readouterr().err


def test_a_class_folder_alone_is_one_line(demo_folder, tmp_path, capsys):
    shutil.copytree(next((demo_folder / "videos").iterdir()), tmp_path / "set" / "walk")
    assert main(["train", "--data", str(tmp_path / "set"), "--device", "cpu"]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "one class" in error and error.startswith("statkit: ")


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.ENOSPC, "No space left on device", "/there/weights.pt"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/there"), "/there: permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "/there"), "read-only file system"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.csv"), "a.csv: No such"),
        (FloatingPointError("epoch 3: the loss is nan; lower rate"), "the loss is nan"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "not enough memory",
        ),
        (MemoryError(), "not enough memory"),
    ],
)
def test_a_fault_from_outside_is_one_line(error, words, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr(cli.commands, "claims", _named(fail, "claims"))
    assert main(["claims"]) == 1
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("error", [ValueError("axes differ"), KeyError("row"), TypeError("None")])
def test_a_fault_of_ours_shows_its_traceback(error, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr(cli.commands, "claims", _named(fail, "claims"))
    assert main(["claims"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said and type(error).__name__ in said and "a fault of statkit" in said


def _named(function, name):
    function.__name__, function.__doc__ = name, "Fail."
    return function


def test_a_loss_that_diverges_is_one_line(demo_folder, capsys):
    words = ["train", "--data", str(demo_folder), "--rows", "teacher", "--epochs", "2"]
    words += ["--hr-size", "24x32", "--device", "cpu", "--optimizer", "sgd", "--rate", "1e30"]
    assert main([*words, "--clip-norm", "1e30", "--precision", "float32"]) == 1
    assert "the loss is" in capsys.readouterr().err.strip().splitlines()[-1]


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("from statkit.errors import one_line_in_notebooks; one_line_in_notebooks()")
shell.run_cell("open('no_such_file.txt')")
shell.run_cell("from statkit.runtime.device import pick_device; pick_device('gpu')")
shell.run_cell("1 / 0")
"""


def test_notebooks_show_one_line_for_the_users_faults_and_a_traceback_for_ours(tmp_path):
    env = os.environ | {"PYTHONPATH": str(REPOSITORY), "IPYTHONDIR": str(tmp_path)}
    run = [sys.executable, "-c", NOTEBOOK]
    said = subprocess.run(run, capture_output=True, text=True, env=env, cwd=tmp_path).stdout
    lines = [line for line in said.splitlines() if line.strip()]
    assert lines[0].startswith("FileNotFoundError: no_such_file.txt")
    assert lines[1].startswith("StatkitError: device is")
    assert "Traceback" in lines[3] and "ZeroDivisionError" in lines[-1]
