"""The paper's tables as grids of runs: one seed and split at a time, so that one teacher serves all
rows. Finished runs are cached, so a stopped grid continues where it stopped."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch

from statkit.data.clips import VideoDataset
from statkit.errors import StatkitError

from .experiment import Experiment
from .results import Result
from .rows import ROWS
from .settings import ExperimentConfig


@dataclass(frozen=True)
class Table:
    """One table of ``tables.toml``."""

    title: str
    rows: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...] = ()
    labelled: tuple[int | None, ...] = ()
    baseline: str = "student"


def _read() -> dict[str, Table]:
    tables = tomllib.loads(Path(__file__).with_name("tables.toml").read_text("utf-8"))
    for fields in tables.values():
        fields["rows"] = tuple(fields["rows"])
        sizes = (size.split("x") for size in fields.get("sizes", ()))
        fields["sizes"] = tuple((int(height), int(width)) for height, width in sizes)
        fields["labelled"] = tuple(number or None for number in fields.get("labelled", ()))
    return {name: Table(**fields) for name, fields in tables.items()}


TABLES = _read()
SIZES = TABLES["2"].sizes


@dataclass(frozen=True)
class Job:
    """The work of one worker: all configurations and rows of a table for one seed and split. source
    names the clips if jobs of one grid have different clips; probe adds the linear probe on the
    pixels of one LR frame."""

    table: str
    settings: tuple[ExperimentConfig, ...]
    rows: tuple[str, ...]
    seed: int
    source: str = ""
    probe: bool = False

    def __len__(self) -> int:
        return len(self.settings) * (len(self.rows) + self.probe)


Clips = VideoDataset | Callable[[Job], VideoDataset]


def clips_of(job: Job, dataset: Clips) -> VideoDataset:
    """The data set of a job."""
    return dataset if isinstance(dataset, VideoDataset) else dataset(job)


def plan(
    name: str,
    dataset: VideoDataset,
    config: ExperimentConfig,
    seeds: Sequence[int],
    splits: Sequence[int],
    rows: Sequence[str] = (),
) -> list[Job]:
    """The jobs of a table.

    Args:
        name: "1" to "4" as in the paper, "strides", "specific" or "labels".
        config: for all runs; the table replaces the values that it varies, and the split. If
            ``labelled`` is given, it is the only number of labels. With fewer labels, students
            get more epochs, so that they see as many clips (in batches that may be smaller).
        rows: names of any rows; when empty, all rows of the table.

    Raises:
        ValueError: no such table or row.
    """
    if name not in TABLES:
        raise StatkitError(f"there is no table {name!r}, only {', '.join(TABLES)}")
    unknown = sorted(set(rows) - ROWS.keys())
    if unknown:
        raise StatkitError(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    table, jobs = TABLES[name], []
    for split in splits:
        clips = dataset.split(split).train
        settings = []
        numbers = (config.labelled,) if config.labelled else table.labelled or (None,)
        for size, labelled in product(table.sizes or (config.frames.lr_size,), numbers):
            frames = replace(config.frames, lr_size=size)
            one = replace(config, split=split, frames=frames, labelled=labelled)
            if labelled:
                fewer = labelled * len(dataset.classes) / len(clips)
                epochs = max(1, round(config.recipe.epochs / min(1, fewer)))
                one = replace(one, student_epochs=epochs)
            settings.append(one)
        # If students already use the teacher's size, "student_full" equals "student".
        own = [r for r in table.rows if config.student_size or ROWS[r].size != "hr"]
        jobs += [Job(name, tuple(settings), tuple(rows or own), seed) for seed in seeds]
    return jobs


def run_job(
    job: Job,
    dataset: VideoDataset,
    *,
    threads: int | None = None,
    progress: bool = False,
    **options,
) -> Iterator[Result]:
    """The results of one job, one by one; options as for
    :class:`statkit.experiments.Experiment`."""
    if threads:
        torch.set_num_threads(threads)
    for config in job.settings:
        how = {"fresh": True, "progress": progress, **options}
        experiment = Experiment(dataset, config, job.seed, **how)
        for row in job.rows:
            yield replace(experiment.with_attention(row), table=job.table)
        if job.probe:
            yield replace(experiment.probe("pixels"), table=job.table)


def run_jobs(
    jobs: Sequence[Job], dataset: Clips, executor: Executor | None = None, **options
) -> Iterator[list[Result]]:
    """Results as they finish: one by one in this process, or one job at a time from the workers of
    ``executor``. ``dataset`` is that of all jobs, or a function that opens that of a job."""
    if executor is None:
        for job in jobs:
            for result in run_job(job, clips_of(job, dataset), progress=True, **options):
                yield [result]
        return
    waiting = [executor.submit(_all_of, job, clips_of(job, dataset), options) for job in jobs]
    for done in as_completed(waiting):
        yield done.result()


def _all_of(job: Job, dataset: VideoDataset, options: dict) -> list[Result]:
    return list(run_job(job, dataset, **options))
