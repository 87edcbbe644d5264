"""(l) What ``--plan`` says of a demo Table 3, against the clock."""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

from data_prep import open_dataset
from statkit.experiments.grid import plan, run_job
from statkit.experiments.plan import plan_runs
from statkit.experiments.rows import TABLE_3
from statkit.experiments.settings import DEMO
from statkit.runtime.cache import CACHE

from .measure import Comparison, Line
from .workload import Workload

DATA, EPOCHS = "demo", 10


def bench_plan(work: Workload) -> Iterator[Line]:
    """The ratio is the larger of estimate and clock over the smaller; decoding and the teacher's
    targets count, and the clips exist already."""
    dataset = open_dataset(DATA, progress=False)
    config = replace(DEMO, recipe=replace(DEMO.recipe, epochs=EPOCHS))
    jobs = plan("3", dataset, config, [0], [1], TABLE_3)
    with tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, {CACHE: cache}):
        told = plan_runs(jobs, dataset, device=str(work.device))
        start = time.perf_counter()
        seconds = {
            run.row: run.seconds for run in run_job(jobs[0], dataset, device=str(work.device))
        }
        clock = time.perf_counter() - start
    off = max(told.seconds / clock, clock / told.seconds)
    each = [f"{t.row} {t.seconds:.0f} ({seconds[t.row]:.0f})" for t in told.trainings]
    each += [f"{what} {spent:.0f}" for what, spent in told.other.items()]
    yield Comparison(
        "--plan of a demo Table 3",
        "the clock",
        *[off] * 3,
        1000 * told.seconds,
        1000 * clock,
        goal="at most 1.25",
        detail=f"{EPOCHS} epochs; seconds planned (taken): {', '.join(each)}",
    )
