"""What the machine gives: the cache folder, devices, cores, a full disk, a poor terminal."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from statkit.errors import StatkitError, in_one_line
from statkit.gallery.runner import run_notebooks
from statkit.runtime import cache
from statkit.runtime.cache import (
    cache_folder,
    new_array,
    write_atomically,
)
from statkit.runtime.device import pick_device

REPOSITORY = Path(__file__).parents[1]


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
