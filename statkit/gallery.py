"""Where figures end up, with all that is needed to draw them again; and the runner that has every
notebook draw its own."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .cache import write_atomically
from .datasets import VideoDataset
from .progress import HEADLESS
from .widgets import ERROR_CLASS

PACKAGES = ("statkit", "torch", "torchvision", "numpy", "matplotlib", "decord", "av")
TIMEOUT = 3600  # seconds a cell may take


class NotebookError(RuntimeError):
    """A notebook that was not run, or did not end well; the message says which and why."""


def save_figure(
    figure: Figure,
    name: str,
    *,
    parameters: dict,
    dataset: VideoDataset,
    folder: str | Path = "figures",
    seed: int | None = None,
) -> Path:
    """Write ``name`` .png, .pdf, .npz (the arrays it shows) and .json (how it was made).

    Args:
        figure: from a ``draw_`` function.
        parameters: the values it was drawn with: a reader who sets the controls to them gets it.
        dataset: the clips it shows; its sidecar says so where they are generated.

    Returns:
        The path of the PNG file.
    """
    folder = Path(folder)
    png = folder / f"{name}.png"
    made = {
        "figure": name,
        "parameters": parameters,
        "seed": seed,
        "dataset": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "clips": "generated clips" if dataset.generated else "real clips",
        "alt": figure.alt,
        "versions": versions(),
    }
    write_atomically(png, lambda path: figure.savefig(path, dpi=150))
    write_atomically(
        png.with_suffix(".pdf"), lambda path: figure.savefig(path, metadata={"CreationDate": None})
    )
    write_atomically(png.with_suffix(".npz"), lambda path: np.savez(path, **figure.shown))
    save_text(png.with_suffix(".json"), json.dumps(made, indent=1, default=str) + "\n")
    return png


def save_text(path: str | Path, text: str) -> Path:
    """Write a text file (a table, a sidecar) whole or not at all."""
    return write_atomically(Path(path), lambda target: target.write_text(text, encoding="utf-8"))


def versions() -> dict[str, str]:
    """Python, platform and the packages that decide numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def notebook_parameters(notebook: Path) -> dict[str, str]:
    """Names in the notebook's tagged cell, each with its default as written."""
    import papermill

    inferred = papermill.inspect_notebook(str(notebook))
    return {name: entry["default"] for name, entry in inferred.items()}


def run_notebooks(
    notebooks: Sequence[Path],
    figures: Path,
    parameters: dict | None = None,
    *,
    workers: int | None = None,
) -> None:
    """Run notebooks headless with papermill; executed copies go to ``figures/notebooks``.

    A parameter goes to those notebooks that have it. Every control is moved to its ends on the
    way. With two workers or more, each gets its share of the cores.

    Raises:
        NotebookError: a parameter that none of them has (before anything runs), a cell that
            failed, or a control whose drawing failed; the others are run to their end first.
    """
    parameters = dict(parameters or {})
    known = {notebook: notebook_parameters(notebook) for notebook in notebooks}
    every = sorted({name for names in known.values() for name in names})
    unknown = sorted(set(parameters) - set(every))
    if unknown:
        raise NotebookError(
            f"no notebook has a parameter {', '.join(unknown)}; there are {', '.join(every)}"
        )
    common = {**parameters, "figures": str(figures.resolve())}
    jobs = [
        Job(nb, figures / "notebooks" / nb.name, {k: v for k, v in common.items() if k in names})
        for nb, names in known.items()
    ]
    workers = min(workers or max(1, (os.cpu_count() or 1) // 2), len(jobs))
    threads = max(1, (os.cpu_count() or 1) // workers)
    failures = list(_run_all(jobs, workers, threads))
    if failures:
        raise NotebookError("\n".join(failures))


@dataclass(frozen=True)
class Job:
    """One notebook, where its executed copy goes, and the parameters it is given."""

    notebook: Path
    output: Path
    parameters: dict


def _run_all(jobs: Sequence[Job], workers: int, threads: int) -> Iterable[str]:
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        running = {pool.submit(_run_one, job, threads): job for job in jobs}
        for future, job in running.items():
            try:
                problems, seconds = future.result()
            except Exception as error:  # papermill's own errors, and a kernel that died
                problems, seconds = [str(error).strip() or type(error).__name__], None
            took = f" ({seconds:.0f} s)" if seconds is not None else ""
            print(f"{job.notebook.name}: {'failed' if problems else 'done'}{took}", flush=True)
            yield from (f"{job.notebook.name}: {problem}" for problem in problems)


def _run_one(job: Job, threads: int) -> tuple[list[str], float]:
    import papermill
    from traitlets.config import Config

    # Over a local socket where there are any: over TCP, kernels warn that others can listen.
    transport = "ipc" if os.name == "posix" else "tcp"
    os.environ |= {HEADLESS: "1", "OMP_NUM_THREADS": str(threads)}
    print(f"{job.notebook.name}: running", flush=True)
    start = time.perf_counter()
    job.output.parent.mkdir(parents=True, exist_ok=True)
    executed = papermill.execute_notebook(
        str(job.notebook),
        str(job.output),
        job.parameters,
        kernel_name="python3",
        cwd=str(job.notebook.parent),
        execution_timeout=TIMEOUT,
        progress_bar=False,
        log_output=True,
        stdout_file=sys.stdout,
        stderr_file=sys.stderr,
        config=Config({"KernelManager": {"transport": transport}}),
    )
    return callback_errors(executed), time.perf_counter() - start


def callback_errors(notebook) -> list[str]:
    """What went wrong inside widget callbacks: papermill itself looks at cells only."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            if ERROR_CLASS in html:
                found.append(f"a control's drawing failed: {html}")
    widgets = notebook.metadata.get("widgets", {})
    state = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for model in state.values():
        for output in model.get("state", {}).get("outputs", []):
            if output.get("output_type") == "error":
                found.append(f"a callback failed: {output.get('ename')}: {output.get('evalue')}")
    return found
