"""(f) From a moved control to its picture, for every control of every notebook.

``python -m tests.benchmarks.widgets NOTEBOOK`` runs a notebook's cells in this process on a few
clips and then moves its controls.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from statkit.runtime.cache import REPOSITORY
from statkit.widgets.explorer import free_last_figure
from statkit.widgets.picker import ClipChoice

from .measure import Comparison, Line, Missing
from .workload import Workload

MOVES, LIMIT = 40, 100.0
QUICK = {"dataset": "demo-small", "epochs": 2}


def bench_widgets(work: Workload) -> Iterator[Line]:
    """(f) 95th percentile of the time from a control's new value to the PNG, against 100 ms."""
    for notebook in sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "times.json"
            command = [sys.executable, "-m", "tests.benchmarks.widgets", notebook, "--times", file]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            found = json.loads(file.read_text()) if file.is_file() else []
            if done.returncode or not found:
                reason = (done.stderr.strip() or done.stdout.strip() or "no times").splitlines()[-1]
                yield Missing(f"controls of {notebook.stem}", f"{LIMIT:.0f} ms", reason)
                continue
        for number, times in enumerate(found, 1):
            middle, late = np.percentile(times, [50, 95]).tolist()
            yield Comparison(
                f"{notebook.stem}, picture {number}, 95th percentile",
                f"{LIMIT:.0f} ms",
                late / LIMIT,
                middle / LIMIT,
                max(times) / LIMIT,
                late,
                LIMIT,
                goal="at most 1.00",
                detail=f"median {middle:.0f} ms; interval: median to slowest of {len(times)} moves",
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--times", type=Path)
    options = parser.parse_args()
    explorers = _run(options.notebook.resolve())
    if options.times:
        options.times.write_text(json.dumps([_move(explorer) for explorer in explorers]))


def _run(notebook: Path) -> list:
    """Run the code cells as a kernel does; the Explorers that they made."""
    import os

    from IPython.core.interactiveshell import InteractiveShell

    from statkit.widgets import explorer as widgets

    explorers, show = [], widgets.Explorer.show

    def shown(explorer, recorded=None):
        show(explorer, recorded)
        explorers.append(explorer)
        return explorer

    widgets.Explorer.show = shown
    os.chdir(notebook.parent)
    shell = InteractiveShell.instance()
    with tempfile.TemporaryDirectory() as figures:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            tags = cell["metadata"].get("tags", [])
            if cell["cell_type"] != "code" or "exercise" in tags:
                continue
            shell.run_cell("".join(cell["source"]), silent=True)
            if "parameters" in tags:
                known = QUICK | {"figures": figures}
                shell.user_ns |= {k: v for k, v in known.items() if k in shell.user_ns}
    return explorers


def _move(explorer) -> list[float]:
    """Milliseconds of moves of one control after the other to values anywhere on its scale; a
    choice of files has none."""
    rng, times = np.random.default_rng(0), []
    widgets = [w for w in explorer.controls.values() if not isinstance(w, ClipChoice)]
    for turn in range(MOVES):
        widget = widgets[turn % len(widgets)]
        value = _any_value(widget, rng)
        start = time.perf_counter()
        widget.value = value
        if explorer.error:
            raise explorer.error
        times.append(1000 * (time.perf_counter() - start))
        free_last_figure()  # as the Explorer does once a picture is out
    return times


def _any_value(widget, rng: np.random.Generator):
    if hasattr(widget, "sliders"):
        return tuple(rng.dirichlet(np.ones(len(widget.sliders))).tolist())
    if isinstance(widget.value, bool):
        return not widget.value
    if hasattr(widget, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in widget.options]
    else:
        values = np.arange(widget.min, widget.max + widget.step / 2, widget.step).tolist()
    others = [value for value in values if value != widget.value]
    return others[rng.integers(len(others))] if others else widget.value


if __name__ == "__main__":
    main()
