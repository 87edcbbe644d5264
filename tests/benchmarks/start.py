"""(i) How long importing takes; (j) where the main job's time goes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .measure import Comparison, Line, Missing, compare
from .workload import Workload

TORCH = "import torch, torchvision"


def bench_start(work: Workload) -> Iterator[Line]:
    """(i) Importing, in a new process."""
    yield from compare(
        "import statkit.experiments.experiment (all that trains)",
        partial(_python, "-c", "import statkit.experiments.experiment"),
        {"import torch, torchvision": partial(_python, "-c", TORCH)},
        repeats=7,
        goals={"import torch, torchvision": "at most 1.20"},
    )


def _python(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])


def bench_job(work: Workload) -> Iterator[Line]:
    """(j) The last ``statkit figures``: minutes of each notebook, and its longest cells."""
    executed = sorted((work.folder / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not executed:
        reason = f"nothing in {work.folder / 'notebooks'}; run statkit figures first"
        yield Missing("the main job by stage", "whole job", reason)
        return
    books = {path.stem: _cells(path) for path in executed}
    whole = sum(total for total, _ in books.values())
    for name, (total, cells) in books.items():
        longest = sorted(cells, key=lambda cell: -cell[1])[:4]
        starting = total - sum(seconds for _, seconds in cells)
        said = "; ".join(f"{words} {seconds:.1f} s" for words, seconds in longest)
        share = total / whole
        yield Comparison(
            f"notebook {name}",
            "all notebooks one by one",
            share,
            share,
            share,
            total,
            whole,
            unit="s",
            detail=f"{said}; kernel start and end {starting:.1f} s",
        )


def _cells(path: Path) -> tuple[float, list[tuple[str, float]]]:
    """Seconds of an executed notebook, and of each of its code cells with its first line."""
    book = json.loads(path.read_text())
    total = book["metadata"]["papermill"]["duration"] or 0.0
    cells = []
    for cell in book["cells"]:
        took = cell["metadata"].get("papermill", {}).get("duration")
        if cell["cell_type"] == "code" and took:
            lines = [line for line in "".join(cell["source"]).splitlines() if line.strip()]
            cells.append((f"`{lines[0][:40]}`" if lines else "(empty)", took))
    return total, cells
