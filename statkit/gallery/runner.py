"""Run notebooks headless with papermill; each notebook draws its own figures."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import nbformat
from nbformat import NotebookNode, ValidationError
from nbformat.reader import NotJSONError

from statkit.errors import StatkitError, in_one_line
from statkit.runtime.cache import save_text
from statkit.runtime.parameters import PATH, ParameterError, pasted_path
from statkit.runtime.processes import cores, process_pool
from statkit.runtime.progress import HEADLESS
from statkit.widgets.picture import ERROR_CLASS
from statkit.widgets.record import RECORD

from .parameters import checked, declaration
from .save import NOTEBOOK

WIDGET = "application/vnd.jupyter.widget-view+json"
MOST_WORKERS = 4  # each holds a kernel with its clips and networks, about 1.5 GB
LONGEST = ("08", "00", "11", "06", "10")  # they start first, so that none is left at the end
SHORT = 40  # longest path, in characters, of a folder for a kernel's socket
DEMO_SETS = ("demo", "demo-small")  # data sets with names; all others are paths
TIMEOUT = 3600  # seconds per cell


class NotebookError(StatkitError):
    """A notebook did not run, or failed; the message names the notebook and the reason."""


@dataclass(frozen=True)
class Job:
    """One notebook, the path of its executed copy, and its parameters."""

    notebook: Path
    output: Path
    parameters: dict
    record: Path | None = None  # a folder for the states of its explorers


def notebook_parameters(notebook: Path) -> dict[str, str]:
    """Names in the notebook's tagged cell, each with its kind as annotated; NotebookError if the
    file is not a complete notebook."""
    import papermill

    try:
        inferred = papermill.inspect_notebook(str(notebook))
    except (NotJSONError, ValidationError) as error:
        raise NotebookError(f"{notebook} is no whole notebook") from error
    return {name: entry["inferred_type_name"] for name, entry in inferred.items()}


def run_notebooks(
    notebooks: Sequence[Path],
    figures: Path,
    parameters: dict | None = None,
    *,
    defaults: dict | None = None,
    workers: int | None = None,
    record: Path | None = None,
) -> None:
    """Run notebooks headless with papermill; executed copies go to ``figures/notebooks``.

    A parameter, as a value or as text, goes to the notebooks that have it; a path is relative
    to the current folder. ``defaults`` are parameters that every notebook may lack. The run moves
    every control to its ends; with ``record``, a folder for the pictures, it also draws the states
    that the book shows. Notebooks run in parallel, each with its share of the cores. With
    parameters, the networks that ship may not fit: then the first notebook that trains runs alone,
    on all cores, because the other notebooks need its networks. NotebookError if no notebook has a
    parameter (before anything runs), a cell failed, or the drawing of a control failed; the other
    notebooks finish first."""
    known = {notebook: notebook_parameters(notebook) for notebook in notebooks}
    jobs = _jobs(known, figures, parameters or {}, defaults or {}, record)
    first = [job for job in jobs if (parameters or defaults) and "fresh" in known[job.notebook]][:1]
    rest = [job for job in jobs if job not in first]
    rest.sort(key=lambda job: (*LONGEST, job.notebook.name[:2]).index(job.notebook.name[:2]))
    available = cores()
    workers = max(1, min(workers or min(available, MOST_WORKERS), len(rest)))
    failures = []
    for some, width in ((first, 1), (rest, workers)):
        with process_pool(width) as pool:
            failures += _run_on(pool, some, max(1, available // width))
    if failures:
        raise NotebookError("\n".join(failures))


def sweep_notebooks(
    notebooks: Sequence[Path],
    figures: Path,
    parameters: dict,
    sweep: tuple[str, Sequence],
    executor: Executor,
    *,
    defaults: dict | None = None,
) -> None:
    """Run notebooks once for each value of one parameter (its name and its values), on the workers
    of a process pool or a Dask cluster that see the same files; otherwise as :func:`run_notebooks`.
    Each value has a folder ``NAME-VALUE`` in ``figures``."""
    known = {notebook: notebook_parameters(notebook) for notebook in notebooks}
    jobs, (name, values) = [], sweep
    for value in values:
        folder = figures / re.sub(r"[^\w.,=-]+", "_", f"{name}-{value}")
        jobs += _jobs(known, folder, {**parameters, name: value}, defaults or {})
    if failures := list(_run_on(executor, jobs, threads=1)):
        raise NotebookError("\n".join(failures))


def _jobs(
    known: dict[Path, dict], figures: Path, given: dict, defaults: dict, record: Path | None = None
) -> list[Job]:
    """A job per notebook, with its checked parameters; NotebookError if no notebook has one of the
    given parameters."""
    every = sorted({name for names in known.values() for name in names})
    numbers = {name for names in known.values() for name in names if names[name] == "int"}
    if unknown := ", ".join(sorted(set(given) - set(every))):
        raise NotebookError(f"no notebook has a parameter {unknown}; there are {', '.join(every)}")
    jobs = []
    for notebook, kinds in known.items():
        common = {**defaults, **given, "figures": str(figures)}
        own = {k: v for k, v in common.items() if k in kinds}
        for name in numbers & own.keys():  # the clip is a number in most lessons, a file in one
            if kinds[name] == "str" and str(own[name]).isdigit():
                del own[name]
        own = {k: _for(notebook, k, kinds[k], v) for k, v in own.items()}
        output = figures.resolve() / "notebooks" / notebook.name
        if output == notebook.resolve():
            raise NotebookError(f"{output} would be overwritten: --out names another folder")
        jobs.append(Job(notebook, output, own, record.resolve() if record else None))
    return jobs


def _for(notebook: Path, name: str, kind: str, value):
    """A checked parameter; a path becomes relative to the folder of the notebook."""
    value = checked(name, kind, value)
    if declaration(name, kind).kind != PATH or value.partition(":")[0] in ("", *DEMO_SETS):
        return value
    path = pasted_path(value).absolute()
    if name != "figures" and not path.exists():
        raise ParameterError(f"{name}: {path} is not there")
    try:  # without details of the machine
        return Path(os.path.relpath(path.resolve(), notebook.parent.resolve())).as_posix()
    except ValueError:  # on another drive
        return str(path.resolve())


class PrefixedStream:
    """A file that puts a notebook's number before each line: several notebooks print at once."""

    def __init__(self, number: str, file: TextIO):
        self.start, self.file = f"{number} | ", file

    def write(self, text: str) -> None:
        lines = text.splitlines()  # also at each "\r" of a progress bar
        self.file.write("".join(f"{self.start}{line}\n" for line in lines if line.strip()))

    def flush(self) -> None:
        self.file.flush()


def _run_on(pool: Executor, jobs: Sequence[Job], threads: int) -> Iterable[str]:
    running = [(pool.submit(_run_one, job, threads), job) for job in jobs]
    for future, job in running:
        try:
            problems, seconds = future.result()
            took = f" ({seconds:.0f} s)"
        except Exception as error:  # papermill's own errors, and a kernel that died
            problems, took = [_problem(error)], ""
        print(f"{job.notebook.name}: {'failed' if problems else 'done'}{took}", flush=True)
        yield from (f"{job.notebook.name}: {problem}" for problem in problems)


def _problem(error: Exception) -> str:
    """One line if the cell showed one, else the whole traceback."""
    if len(getattr(error, "traceback", ())) == 1:  # papermill's error for an error of the user
        return re.sub(r"\x1b\[[\d;]*m", "", error.traceback[0])
    return in_one_line(error) or str(error).strip() or type(error).__name__


def _run_one(job: Job, threads: int) -> tuple[list[str], float]:
    import papermill
    from traitlets.config import Config

    how = {HEADLESS: "1", "OMP_NUM_THREADS": str(threads), NOTEBOOK: str(job.notebook)}
    os.environ.update(how | {RECORD: str(job.record or "")})
    print(f"{job.notebook.name}: running", flush=True)
    start = time.perf_counter()
    job.output.parent.mkdir(parents=True, exist_ok=True)
    # A socket's path may have about a hundred characters; a job scheduler's TMPDIR can be as long.
    long = len(tempfile.gettempdir()) > SHORT and os.access("/tmp", os.W_OK)
    short = "/tmp" if long else None
    try:
        with tempfile.TemporaryDirectory(prefix="statkit-", dir=short) as sockets:
            # Over TCP, kernels warn that others can listen. Without a name of its own, a kernel's
            # local socket has the name of every other's that starts in the same folder.
            local = {"transport": "ipc", "ip": f"{sockets}/kernel"} if os.name == "posix" else {}
            executed = papermill.execute_notebook(
                str(job.notebook),
                str(job.output),
                job.parameters,
                kernel_name="python3",
                cwd=str(job.notebook.parent),
                execution_timeout=TIMEOUT,
                progress_bar=False,
                log_output=True,
                stdout_file=PrefixedStream(job.notebook.name[:2], sys.stdout),
                stderr_file=PrefixedStream(job.notebook.name[:2], sys.stderr),
                config=Config({"KernelManager": local}),
            )
    finally:  # also for a notebook that failed
        if job.output.is_file():
            kept = without_widgets(nbformat.read(job.output, as_version=4))
            save_text(job.output, nbformat.writes(kept))
    return callback_errors(executed), time.perf_counter() - start


def without_widgets(notebook: NotebookNode) -> NotebookNode:
    """A copy of an executed notebook without widget state, which needs a kernel, and without this
    machine's paths: the pictures stay, and the text of the controls stays."""
    kept = deepcopy(notebook)
    kept.metadata.pop("widgets", None)
    for name in ("input_path", "output_path"):
        kept.metadata.get("papermill", {}).pop(name, None)
    for cell in kept.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    return kept


def callback_errors(notebook) -> list[str]:
    """Errors inside widget callbacks: papermill itself checks cells only."""
    found = []
    widgets = notebook.metadata.get("widgets", {})
    state = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for model in state.values():
        traits = model.get("state", {})
        said = [traits.get(trait) for trait in ("words", "value")]
        found += [f"a control failed: {words}" for words in said if ERROR_CLASS in str(words)]
        for output in traits.get("outputs", []):
            if output.get("output_type") == "error":
                found.append(f"a callback failed: {output.get('ename')}: {output.get('evalue')}")
    return found
