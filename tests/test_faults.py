"""What a user, a disk, a network or a half-written file can do is one line that names it; a broken
file of the cache is named, set aside and made anew."""

import ast
import errno
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from statkit import cli
from statkit.backbones import _read_weights
from statkit.cli.commands import main
from statkit.data.clips import DatasetError
from statkit.data.stored import store_frames
from statkit.errors import StatkitError, in_one_line
from statkit.experiments import Experiment
from statkit.experiments.rows import ROWS
from statkit.experiments.runs import run_name
from statkit.experiments.settings import DEMO
from statkit.gallery.parameters import PARAMETERS, check_parameters, checked, declaration
from statkit.gallery.runner import _jobs, run_notebooks
from statkit.models import build_model
from statkit.runtime import cache
from statkit.runtime.cache import (
    cache_folder,
    new_array,
    read_cached,
    save_text,
    write_atomically,
)
from statkit.runtime.device import pick_device
from statkit.runtime.parameters import ParameterError

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


@pytest.mark.parametrize("name", ["gpu", "CUDA", "0", "xpu", "cuda:", ""])
def test_an_unknown_device_is_one_line(name):
    with pytest.raises(StatkitError, match="device is auto, cpu, cuda"):
        pick_device(name)


def test_a_device_that_is_not_here_is_one_line(monkeypatch):
    if torch.cuda.is_available():
        assert pick_device("cuda:0").index == 0
    else:
        with pytest.raises(StatkitError, match="no CUDA GPU"):
            pick_device("cuda:0")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    model = resnet18(weights=None)
    state = model.state_dict()
    forms = {
        "good": state,
        "nested": {"state_dict": state, "epoch": 3},
        "module": {f"module.{key}": values for key, values in state.items()},
        "both": {"model": {f"module.{key}": values for key, values in state.items()}},
        "numpy": {"state_dict": state, "best": np.float64(1.5)},
        "whole": model,
        "numbers": {"epoch": 3},
    }
    for name, value in forms.items():
        torch.save(value, folder / f"{name}.pt")
    (folder / "cut.pt").write_bytes((folder / "good.pt").read_bytes()[:100_000])
    (folder / "text.pt").write_text("no weights at all\n" * 9)
    (folder / "empty.pt").write_bytes(b"")
    torch.save({k: v for k, v in state.items() if "layer4" not in k}, folder / "part.pt")
    torch.save({k: v[..., :1] if v.ndim else v for k, v in state.items()}, folder / "shapes.pt")
    return folder


@pytest.mark.parametrize("form", ["nested", "module", "both", "numpy"])
def test_plain_checkpoints_are_taken(weights, form):
    wanted, found = (_read_weights(weights / f"{name}.pt") for name in ("good", form))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], values) for key, values in wanted.items())
    built = build_model("resnet18", 3, pretrained=str(weights / f"{form}.pt"))
    assert torch.equal(built.stem[0].weight, wanted["conv1.weight"])


@pytest.mark.parametrize("field", ["pretrained", "student_pretrained"])
@pytest.mark.parametrize("row", ["student", "stat"])
def test_weights_that_were_replaced_in_place_give_another_run(
    weights, tmp_path, monkeypatch, row, field
):
    def name(start):
        return run_name(row, ROWS, replace(QUICK, **{field: start}), 0, clips="abc")

    file = tmp_path / "w.pt"
    shutil.copy(weights / "good.pt", file)
    before, copy = name(str(file)), name(str(weights / "good.pt"))
    shutil.copy(weights / "nested.pt", file)
    assert before == copy != name(str(file))
    monkeypatch.setenv("STATKIT_WEIGHTS", str(tmp_path))
    published = name(True)
    shutil.copy(weights / "good.pt", tmp_path / "demo.pth")
    assert name(True) == before != published


@pytest.mark.parametrize(
    "form", ["cut", "whole", "numbers", "text", "empty", "part", "shapes", "not/here"]
)
def test_other_files_of_weights_are_one_line_with_their_name(weights, form):
    file = weights / f"{form}.pt"
    with pytest.raises(StatkitError) as error:
        build_model("resnet18", 3, pretrained=str(file))
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_no_internet_for_pretrained_weights_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("STATKIT_WEIGHTS", raising=False)
    with pytest.raises(StatkitError, match="without internet|Without internet") as error:
        build_model("resnet18", 3, pretrained=True)
    assert "\n" not in str(error.value)


def test_half_a_download_of_weights_is_set_aside(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("STATKIT_WEIGHTS", raising=False)
    file = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir()
    file.write_bytes(b"PK\3\4half")
    with pytest.raises(StatkitError, match="downloaded"):
        build_model("resnet18", 3, pretrained=True)
    assert f"{file} is broken" in capsys.readouterr().err


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


@pytest.mark.skipif(not Path("/dev/shm").is_dir() or os.getuid(), reason="needs a disk to fill")
def test_a_full_disk_is_an_error_and_no_crash(tmp_path):
    """Writing to a mapped file without room would end the process."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(small)]):
        pytest.skip("may not mount")
    try:
        with pytest.raises(OSError) as error:
            new_array(small / "a.npy", np.uint8, (1 << 20,))
        assert "the disk is full" in in_one_line(error.value)
        with pytest.raises(OSError) as error:
            write_atomically(small / "b", lambda path: path.write_bytes(bytes(1 << 20)))
        assert "the disk is full" in in_one_line(error.value)
        state = {"a": torch.zeros(1 << 20)}
        with pytest.raises((OSError, RuntimeError)) as error:
            write_atomically(small / "w.pt", lambda path: torch.save(state, path))
        assert "full" in str(in_one_line(error.value)), repr(error.value)
    finally:
        subprocess.call(["umount", "-l", str(small)])


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


def test_a_parameter_is_checked_before_any_notebook_runs(tmp_path, capsys):
    wrong = [
        ("seeds", "a", "whole numbers"),
        ("block", "5", "from 1 to 4"),
        ("perplexity", "500", "5 or 15 or 30 or 50"),
        ("weights", "[1, -1, 2]", "each from 0"),
        ("overrides", "power=9", "power is 1 or 2"),
        ("device", "gpu", "device is auto, cpu"),
        ("dataset", "", "got an empty text"),
        ("dataset", "no/clips", f"{Path('no/clips').absolute()} is not there"),
    ]
    for name, value, words in wrong:
        assert main(["figures", "--out", str(tmp_path / "out"), "-p", name, value]) == 1
        said = capsys.readouterr().err.strip()
        assert words in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name, kind, given, taken",
    [
        ("seeds", "str", 0, "0"),
        ("seeds", "str", "3", "3"),
        ("dataset", "str", 2024, "2024"),
        ("weights", "list", "[1, 1, 2]", [1.0, 1.0, 2.0]),
        ("clip", "int", "3", 3),
        ("clip", "str", "my.mp4", "my.mp4"),
        ("fresh", "bool", "yes", True),
    ],
)
def test_a_parameter_as_papermill_or_a_shell_gives_it_is_taken(name, kind, given, taken):
    assert checked(name, kind, given) == taken


def test_the_check_in_a_notebook_puts_right_or_refuses():
    notebook = {"__annotations__": {"seeds": str, "block": int}, "seeds": 0, "block": 4}
    check_parameters(notebook)
    assert notebook["seeds"] == "0"
    with pytest.raises(ParameterError, match="block is a whole number from 1 to 4, got '5'"):
        check_parameters({**notebook, "block": 5})
    with pytest.raises(ParameterError, match="action is all or walk"):
        check_parameters({**notebook, "action": "fly"}, action=("all", "walk"))


def test_every_parameter_of_a_lesson_is_declared_and_its_default_is_in_range():
    for file in sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb")):
        cells = nbformat.read(file, as_version=4).cells
        tagged = [i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])][0]
        values = {}
        exec(cells[tagged].source, values)
        check_parameters(values)
        assert set(values["__annotations__"]) <= set(PARAMETERS), file.name
        assert "check_parameters(globals())" in cells[tagged + 1].source


def test_sliders_end_where_their_parameters_do():
    """What a lesson says of a slider with fixed ends, and what its parameter may be."""
    found = 0
    for file in sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb")):
        for cell in nbformat.read(file, as_version=4).cells:
            for name, least, most in re.findall(
                r"(\w+)=Slider\(\"[^\"]+\", ([\d.]+), ([\d.]+), \1\b", cell.source
            ):
                parameter = declaration(name, "int")
                assert (float(least), float(most)) == (parameter.least, parameter.most)
                found += 1
    assert found > 8


def test_paths_mean_the_folder_where_they_were_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("lessons", "data/mine"):
        (tmp_path / folder).mkdir(parents=True)
    notebook = tmp_path / "lessons" / "01_a.ipynb"
    given = {"dataset": "data/mine"}
    job = _jobs({notebook: {"dataset": "str", "figures": "str"}}, Path("out"), given, {})[0]
    assert job.parameters == {"dataset": "../data/mine", "figures": "../out"}
    job = _jobs({notebook: {"dataset": "str"}}, Path("out"), {"dataset": "demo"}, {})[0]
    assert job.parameters == {"dataset": "demo"}


def test_a_clips_number_is_not_for_the_lesson_that_takes_a_file(tmp_path):
    known = {tmp_path / "04_a.ipynb": {"clip": "int"}, tmp_path / "09_b.ipynb": {"clip": "str"}}
    assert [job.parameters for job in _jobs(known, Path("out"), {"clip": "3"}, {})] == [
        {"clip": 3},
        {},
    ]


@pytest.mark.parametrize("named", ["kept", "~/kept", ""])
def test_the_cache_is_where_it_was_typed(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))  # which a shell and a kernel know, and chdir does not
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STATKIT_CACHE", named)
    monkeypatch.setattr(cache, "IN_CHECKOUT", False)
    cache._usable_root.cache_clear()
    folder = cache_folder("runs")
    home = tmp_path / "home"
    wanted = {"kept": tmp_path / "kept", "~/kept": home / "kept", "": home / ".cache" / "statkit"}
    assert folder == wanted[named] / "runs" and folder.is_dir()
    monkeypatch.chdir("/")
    assert cache_folder("runs") == folder
    assert not (tmp_path / "~").exists()
    cache._usable_root.cache_clear()


def test_a_cache_that_may_only_be_read_is_shared_and_said_once(tmp_path, monkeypatch, capsys):
    """A course volume, or another user's cache."""
    shared = tmp_path / "course"
    (shared / "runs" / "stat-1").mkdir(parents=True)
    (shared / "runs" / "stat-1" / "weights.pt").write_text("trained")
    if subprocess.call(["mount", "--bind", str(shared), str(shared)]):
        pytest.skip("may not mount")
    try:
        subprocess.check_call(["mount", "-o", "remount,ro,bind", str(shared)])
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("STATKIT_CACHE", str(shared))
        monkeypatch.setenv("STATKIT_SHARED_CACHE", "")
        cache._usable_root.cache_clear()
        run = cache_folder("runs", "stat-1")
        assert run == tmp_path / "home" / ".cache" / "statkit" / "runs" / "stat-1"
        assert (run / "weights.pt").read_text() == "trained"
        cache.save_text(run / "result.json", "{}")
        cache.save_text(run / "weights.pt", "anew")
        assert (shared / "runs" / "stat-1" / "weights.pt").read_text() == "trained"
        cache_folder("frames")
        assert capsys.readouterr().err.count("cannot be written") == 1
    finally:
        subprocess.call(["umount", "-l", str(shared)])
        cache._usable_root.cache_clear()


def test_a_terminal_that_lacks_a_letter_shows_the_nearest(demo_folder, tmp_path):
    words = ["-m", "statkit.cli", "prepare", "--verify", "−4 × 跳é"]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "cp1252"}
    env |= {"PYTHONUTF8": "0"}
    run = subprocess.run([sys.executable, *words], capture_output=True, env=env)
    said = (run.stdout + run.stderr).decode("cp1252")
    assert run.returncode == 1 and "-4 × \\u8df3é" in said and "Traceback" not in said


def test_every_text_is_read_and_written_with_an_encoding():
    wrong = []
    files = [*(REPOSITORY / "statkit").rglob("*.py"), *(REPOSITORY / "data_prep").glob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", None)
            given = {"read_text": 1, "write_text": 2}.get(name)
            named = given and any(word.arg == "encoding" for word in node.keywords)
            if given and len(node.args) < given and not named:
                wrong.append(f"{file}:{node.lineno}")
    assert wrong == []


def test_kernels_start_with_a_long_temporary_folder(tmp_path, monkeypatch):
    """As job schedulers give them; the path of a socket has a hundred letters at most."""
    folder = tmp_path / ("cluster-node-0123.example.university/job.12345678" + "x" * 60)
    folder.mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("6 * 7")])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(notebook, tmp_path / "01_a.ipynb")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    run_notebooks([tmp_path / "01_a.ipynb"], tmp_path / "out", workers=1)
    ran = nbformat.read(tmp_path / "out" / "notebooks" / "01_a.ipynb", as_version=4)
    assert ran.cells[-1].outputs[0].data["text/plain"] == "42"


def test_cores_are_those_that_this_process_may_use():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    code = "from statkit.runtime.processes import cores; import os; "
    code += "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(cores())"
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    assert subprocess.check_output([sys.executable, "-c", code], env=env).strip() == b"1"
