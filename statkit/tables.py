"""The paper's tables as grids of runs, and their lines: ours with spread, the paper's beside it.

A grid is run a seed and split at a time, so that one teacher serves all rows; what is finished is
kept, so a grid that was killed goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace

import numpy as np
import torch

from .cache import REPOSITORY
from .clips import VideoDataset
from .experiments import Experiment
from .paper import paper_numbers
from .results import Estimate, Result, estimate, gain, read_results
from .rows import ROWS, TABLE_1, TABLE_2, TABLE_3, TITLES
from .settings import Setting

SIZES = ((6, 8), (12, 16), (18, 24), (24, 32))


@dataclass(frozen=True)
class Table:
    """One table: its title, its rows, and LR sizes or numbers of labelled clips a class where it
    has several; ``baseline`` is the row that gains are measured against."""

    title: str
    rows: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...] = ()
    labelled: tuple[int | None, ...] = ()
    baseline: str = "student"


TABLES = {
    "1": Table("Table 1: weights, fixed and rolling", ("student", *TABLE_1), baseline="stat"),
    "2": Table("Table 2: resolutions", TABLE_2, SIZES),
    "3": Table(
        "Table 3: what each part brings",
        (
            *TABLE_3,
            "stat_rc",
            "stat_rc_ut",
            "stat_confident",
            "kd",
            "stat_kd",
            "at",
            "stat_all",
            "student_converged",
            "student_longest",
            "stat_converged",
            "stat_1_4_2_converged",
        ),
    ),
    "4": Table(
        "Table 4: two streams",
        ("student", "stat", "flow", "flow_stat", "two_stream", "two_stream_stat"),
    ),
    "strides": Table(
        "Beyond the paper: how an LR frame meets the network's strides",
        (
            "student_native",
            "student_stem",
            "student",
            "student_full",
            "stat_stem",
            "stat",
            "stat_full",
        ),
    ),
    "labels": Table(
        "Section 3.3.1: few labels, and the unlabelled stage before them",
        ("student", "stat", "stat_ut"),
        labelled=(4, 16, None),
    ),
}


@dataclass(frozen=True)
class Job:
    """What one worker does: all settings and rows of a table for one seed and split."""

    table: str
    settings: tuple[Setting, ...]
    rows: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.settings) * len(self.rows)


def plan(
    name: str,
    dataset: VideoDataset,
    setting: Setting,
    seeds: Sequence[int],
    splits: Sequence[int],
    rows: Sequence[str] = (),
) -> list[Job]:
    """The jobs of a table.

    Args:
        name: "1" to "4" as in the paper, "strides" or "labels".
        setting: for all of it, but for what the table varies, and the split; a number of labels
            given in it is the only one. With fewer labels, students get as many more epochs, so
            that the number of steps stays.
        rows: some of the table's rows, or others; all of the table's when empty.

    Raises:
        ValueError: no such table or row.
    """
    if name not in TABLES:
        raise ValueError(f"there is no table {name!r}, only {', '.join(TABLES)}")
    unknown = sorted(set(rows) - ROWS.keys())
    if unknown:
        raise ValueError(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    table, jobs = TABLES[name], []
    for split in splits:
        clips = dataset.split(split).train
        settings = []
        numbers = (setting.labelled,) if setting.labelled else table.labelled or (None,)
        for size in table.sizes or (setting.frames.lr_size,):
            for labelled in numbers:
                frames = replace(setting.frames, lr_size=size)
                one = replace(setting, split=split, frames=frames, labelled=labelled)
                if labelled:
                    fewer = labelled * len(dataset.classes) / len(clips)
                    epochs = max(1, round(setting.recipe.epochs / min(1, fewer)))
                    one = replace(one, student_epochs=epochs)
                settings.append(one)
        jobs += [Job(name, tuple(settings), tuple(rows) or table.rows, seed) for seed in seeds]
    return jobs


def run_job(
    job: Job,
    dataset: VideoDataset,
    *,
    unlabelled: VideoDataset | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: bool = False,
) -> Iterator[Result]:
    """The results of one job, one by one."""
    if threads:
        torch.set_num_threads(threads)
    for setting in job.settings:
        experiment = Experiment(
            dataset, setting, job.seed, unlabelled=unlabelled, device=device, progress=progress
        )
        for row in job.rows:
            yield replace(experiment.result(row), table=job.table)


def run_jobs(
    jobs: Sequence[Job], dataset: VideoDataset, executor: Executor | None = None, **options
) -> Iterator[list[Result]]:
    """Results as they come: one by one here, or a job at a time from an executor's workers.

    Args:
        executor: a process pool, or a Dask client's ``get_executor()``; None for this process.
        options: as in :func:`run_job`.
    """
    if executor is None:
        for job in jobs:
            for result in run_job(job, dataset, progress=True, **options):
                yield [result]
        return
    waiting = [executor.submit(_all_of, job, dataset, options) for job in jobs]
    for done in as_completed(waiting):
        yield done.result()


def _all_of(job: Job, dataset: VideoDataset, options: dict) -> list[Result]:
    return list(run_job(job, dataset, **options))


def shipped(dataset: str, table: str) -> list[Result]:
    """The committed runs of a table on the data set of this name; none if there are none."""
    runs = []
    for file in sorted((REPOSITORY / "figures" / "results").glob("*.csv")):
        runs += read_results(file)
    return [
        run
        for run in runs
        if run.table == table and json.loads(run.parameters).get("dataset") == dataset
    ]


@dataclass(frozen=True)
class Line:
    """One line of a table: means over seeds and splits with 95 % intervals, in per cent.

    gain is the paired difference to the table's baseline at the same resolution; paper, the paper's
    prec@1 on its own data, never comparable in absolute terms.
    """

    title: str
    resolution: str
    prec1: Estimate
    prec5: float
    gain: Estimate | None
    epochs: int
    seconds: float
    on_actor: float | None
    in_action: float | None
    paper: float | None


def lines_of(
    results: Iterable[Result],
    rows: Sequence[str],
    *,
    baseline: str = "student",
    table: str = "3",
    backbone: str = "resnet34",
) -> list[Line]:
    """Runs gathered into lines, in the order of ``rows`` and of resolutions from coarse to fine.

    Args:
        table, backbone: whose numbers of the paper to set beside ours.
    """
    results, numbers = list(results), paper_numbers(table, backbone)
    lines = []
    for row in rows:
        here = [result for result in results if result.row == row]
        for place in sorted({_place(result) for result in here}, key=_order):
            same = [result for result in results if _place(result) == place]
            runs = [result for result in same if result.row == row]
            paired = {(r.seed, r.split) for r in same if r.row == baseline}
            known = paired & {(r.seed, r.split) for r in runs} and row != baseline
            resolution, labelled = place
            lines.append(
                Line(
                    TITLES[row],
                    resolution + (f", {labelled} labels a class" if labelled else ""),
                    estimate([run.prec1 for run in runs]),
                    float(np.mean([run.prec5 for run in runs])),
                    gain(same, row, baseline) if known else None,
                    runs[0].epochs,
                    float(np.mean([run.seconds for run in runs])),
                    _mean([run.on_actor for run in runs]),
                    _mean([run.in_action for run in runs]),
                    numbers.get((row, resolution), numbers.get((row, ""))),
                )
            )
    return lines


def _place(result: Result) -> tuple[str, int | None]:
    return result.resolution, result.labelled


def _order(place: tuple[str, int | None]) -> tuple[int, float]:
    """From coarse to fine, from few labels to all."""
    height, width = place[0].split("x")
    return int(height) * int(width), place[1] or float("inf")


HEAD = (
    "row",
    "resolution",
    "prec@1",
    "prec@5",
    "gain",
    "epochs",
    "on the actor",
    "in the action",
    "runs",
    "the paper",
)


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table."""
    head, *rows = _rows(lines)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def latex(lines: Sequence[Line], caption: str) -> str:
    """The lines as a LaTeX table (package ``booktabs``)."""
    swap = {"%": r"\%", "±": r"$\pm$", "−": "$-$", "&": r"\&", "_": r"\_"}
    rows = []
    for cells in _rows(lines):
        text = " & ".join(cells).replace(" & ", "\0")
        for sign, code in swap.items():
            text = text.replace(sign, code)
        rows.append(text.replace("\0", " & ") + r" \\")
    body = "\n".join(["\\toprule", rows[0], "\\midrule", *rows[1:], "\\bottomrule"])
    columns = "ll" + "r" * (len(_rows(lines)[0]) - 2)
    return (
        f"\\begin{{table}}\n\\caption{{{caption}}}\n\\begin{{tabular}}{{{columns}}}\n{body}\n"
        "\\end{tabular}\n\\end{table}\n"
    )


def _rows(lines: Sequence[Line]) -> list[list[str]]:
    """Head and cells, without the columns that no line has anything for."""
    rows = [HEAD, *(_cells(line) for line in lines)]
    columns = list(zip(*rows, strict=True))
    kept = [column for place, column in enumerate(columns) if place < 3 or any(column[1:])]
    return [list(row) for row in zip(*kept, strict=True)]


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.title,
        line.resolution,
        str(line.prec1),
        f"{line.prec5:.1f}",
        signed(line.gain) if line.gain else "",
        str(line.epochs or ""),
        "" if line.on_actor is None else f"{line.on_actor:.2f}",
        "" if line.in_action is None else f"{line.in_action:.0%}",
        str(line.prec1.runs),
        "" if line.paper is None else f"{line.paper:.2f}",
    )


def signed(difference: Estimate) -> str:
    """A difference with its sign, in words for tables: "+3.1 ± 1.2"."""
    sign = "+" if difference.mean >= 0 else "−"
    return sign + str(difference._replace(mean=abs(difference.mean)))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
