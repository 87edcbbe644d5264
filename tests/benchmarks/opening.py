"""(m) How long a lesson takes to its first picture, in a new kernel with an empty cache; and how
long all lessons take, from nothing.

``python -m tests.benchmarks.opening [NOTEBOOK ...]`` prints a line per lesson: seconds by the wall
clock, and seconds of processor time of the kernel and its processes. On a machine that does other
work, the processor time tells more.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import psutil
from jupyter_client.manager import KernelManager

from statkit.runtime.cache import REPOSITORY

from .measure import Comparison, Line
from .workload import Workload

LESSONS = REPOSITORY / "notebooks"
LIMIT = 600  # seconds for one cell
FIRST, ALL = 20.0, 360.0  # seconds that a first picture, and all figures, may take


def bench_opening(work: Workload) -> Iterator[Line]:
    """(m) Every lesson to its first picture, against 20 s; ``statkit figures``, against 6 min."""
    for notebook in sorted(LESSONS.glob("[0-9][0-9]_*.ipynb")):
        with tempfile.TemporaryDirectory(prefix="statkit-empty-") as cache:
            wall, processor, _ = first_picture(notebook, cache)
        yield _against(FIRST, f"{notebook.stem} to its first picture", wall, processor)
    with tempfile.TemporaryDirectory(prefix="statkit-empty-") as empty:
        env = os.environ | {"STATKIT_CACHE": f"{empty}/cache", "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-m", "statkit.cli", "figures", "--out", f"{empty}/figures"]
        start, before = time.perf_counter(), os.times()
        subprocess.run(command, env=env, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
        spent, after = time.perf_counter() - start, os.times()
    processor = sum(after[2:4]) - sum(before[2:4])
    yield _against(ALL, "statkit figures from nothing", spent, processor)


def _against(limit: float, what: str, wall: float, processor: float) -> Comparison:
    ratio, detail = wall / limit, f"{processor:.1f} s of processor time"
    about = {"unit": "s", "goal": "at most 1.00", "detail": detail}
    return Comparison(what, f"{limit:.0f} s", ratio, ratio, ratio, wall, limit, **about)


def first_picture(notebook: Path, cache: str | Path) -> tuple[float, float, str]:
    """Run a lesson in a new kernel until it shows a picture.

    Returns:
        Seconds by the wall clock and of processor time, and the first line of the picture's cell.
    """
    start, manager = time.perf_counter(), KernelManager(kernel_name="python3")
    env = {"STATKIT_CACHE": str(cache), "PYTHONPATH": str(REPOSITORY)}
    manager.start_kernel(env=os.environ | env, cwd=str(notebook.parent))
    client = manager.client()
    client.start_channels()
    try:
        kernel = psutil.Process(manager.provisioner.process.pid)
        client.wait_for_ready(timeout=LIMIT)
        with tempfile.TemporaryDirectory() as figures:
            for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
                if cell["cell_type"] != "code":
                    continue
                source = "".join(cell["source"])
                if _shows(client, client.execute(source)):
                    spent = time.perf_counter() - start
                    return spent, _processor_time(kernel), source.splitlines()[0]
                if "parameters" in cell["metadata"].get("tags", []):
                    client.execute(f"figures = {figures!r}")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    raise RuntimeError(f"{notebook.name} shows no picture")


def _shows(client, request: str) -> bool:
    """Whether a picture comes before the cell ends."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except Empty:
            continue
        content = message["content"]
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "error":
            raise RuntimeError(f"{content['ename']}: {content['evalue']}")
        if "image/png" in content.get("data", {}):
            return True
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return False
    raise TimeoutError(f"a cell took more than {LIMIT} s")


def _processor_time(process: psutil.Process) -> float:
    """Seconds of a process and of those that it started, ended ones too."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def main() -> None:
    for notebook in map(Path, sys.argv[1:] or sorted(LESSONS.glob("[0-9][0-9]_*.ipynb"))):
        with tempfile.TemporaryDirectory(prefix="statkit-empty-") as cache:
            wall, processor, cell = first_picture(notebook.resolve(), cache)
        print(f"{notebook.stem}: {wall:.1f} s, processor {processor:.1f} s ({cell})", flush=True)


if __name__ == "__main__":
    main()
