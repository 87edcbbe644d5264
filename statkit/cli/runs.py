"""The commands that train and measure: train, evaluate, tables, forecast."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import isfinite
from pathlib import Path

from data_prep import DEMO_SIZES, open_dataset
from statkit.errors import StatkitError
from statkit.experiments import Experiment
from statkit.experiments.conditions import summary
from statkit.experiments.forecast import NEXT, WORTH, forecasts, real_sets, shipped_model
from statkit.experiments.grid import TABLES, Clips, Job, plan, run_job, run_jobs
from statkit.experiments.knobs import KNOBS, VALUES, conditions, jobs
from statkit.experiments.ledger import hypotheses
from statkit.experiments.paper import paper_column
from statkit.experiments.plan import plan_runs
from statkit.experiments.presets import PRESETS
from statkit.experiments.results import Result, write_results
from statkit.experiments.rows import TITLES
from statkit.experiments.tables import latex, lines_of, markdown, plain_markdown
from statkit.runtime.cache import require_place, save_text
from statkit.runtime.processes import cores, executor, is_main, processes

from .chosen import (
    chosen_config,
    chosen_dataset,
    chosen_rows,
    experiment_options,
    planned_clips,
)


def train(options) -> None:
    """Train rows and measure them."""
    if options.plan:
        dataset = chosen_dataset(options)
        configs, rows = (chosen_config(options, dataset),), tuple(chosen_rows(options))
        return _plan(options, [Job("", configs, rows, seed) for seed in options.seeds], dataset)
    _check_out(options.out)
    ones, rows = _experiments(options), chosen_rows(options)
    _report((one.result(row) for one in ones for row in rows), options)


def evaluate(options) -> None:
    """Measure rows that were trained before."""
    results = []
    _check_out(options.out)
    for experiment in _experiments(options):
        for row in chosen_rows(options):
            if not experiment.trained(row):
                raise StatkitError(
                    f"{row} with seed {experiment.seed} is not trained for these settings; "
                    "run statkit train with the same options first"
                )
            results.append(experiment.result(row))
        if options.probe:
            results += [experiment.probe(side) for side in ("hr", "lr", "pixels")]
    _report(results, options)


def tables(options) -> None:
    """Run tables as grids: a file of runs, a table in Markdown and LaTeX, and a figure each."""
    if processes() > 1 and (options.dask or options.workers > 1):
        raise StatkitError("spread a grid over workers, or each training over processes: not both")
    preset = PRESETS.get(options.preset)
    names = options.table or [preset.table if preset else "3"]
    _check_knobs(options, names)
    if not options.plan:
        _check_out(options.out / "table.csv")
    dataset = chosen_dataset(options)
    config = chosen_config(options, dataset)
    for name in names:
        if name == "knobs":
            _knobs(options, config)
            continue
        table, own = TABLES[name], preset if preset and name == preset.table else TABLES[name]
        rows = options.rows or own.rows
        splits = options.splits or (preset.splits if preset else (1,))
        work = plan(name, dataset, config, options.seeds, splits, rows)
        if options.plan:
            _plan(options, work, dataset)
            continue
        file = options.out / f"table_{name}{f'_{options.preset}' if preset else ''}.csv"
        results = _run(options, work, dataset, file, table.title)
        if not is_main():
            continue
        results.sort(key=lambda result: (result.split, result.seed))
        write_results(file, results)
        column = paper_column(config.backbone)
        lines = lines_of(results, rows, baseline=table.baseline, table=name, backbone=column)
        kind = "generated" if dataset.generated else "real"
        caption = f"{table.title}, on {dataset.name} ({len(dataset)} {kind} clips)"
        save_text(file.with_suffix(".md"), f"{plain_markdown(caption)}\n\n{markdown(lines)}")
        save_text(file.with_suffix(".tex"), latex(lines, caption))
        _table_figure(table, results, rows, dataset, file)
        print(f"\n{caption}\n\n{markdown(lines)}")
        print(f"written: {file.with_suffix('')}.csv .md .tex .png")


def _run(options, work: list[Job], dataset: Clips, file: Path, title: str) -> list[Result]:
    """The results of a grid, written and printed as they come."""
    total, results, how = sum(map(len, work)), [], experiment_options(options)
    with executor(options.dask, options.workers) as pool:
        if pool and options.dask in (None, "local"):  # cluster workers have their own
            how["threads"] = max(1, cores() // max(1, options.workers))
        for new in run_jobs(work, dataset, pool, **how):
            results += new
            if is_main():
                write_results(file, results)
            for result in new:
                _say(f"{title}  {len(results)}/{total}  {_line(result)}")
    return results


def _check_knobs(options, tables: list[str]) -> None:
    """Raise an error for words that do not go with the knob experiment, before clips are drawn."""
    if "knobs" not in tables:
        if options.knob:
            raise StatkitError("--knob goes with --table knobs")
        return
    base, _, words = options.data.partition(":")
    if base not in DEMO_SIZES:
        raise StatkitError(f"only generated clips have knobs, not {options.data}")
    if words:
        raise StatkitError(f"--table knobs sets the knobs itself: name {base}, not {options.data}")


def _knobs(options, config) -> None:
    """Run the knob experiment, or continue it: one file of runs, and one figure per knob."""
    from statkit.gallery.save import save_figure
    from statkit.plots.knobs import draw_knob

    all_knobs = [knob for knob in KNOBS if knob != "clips" or options.data == "demo"]
    knobs, file = options.knob or all_knobs, options.out / "knobs.csv"
    work = jobs(conditions(knobs, config, options.data), options.seeds, options.rows)
    if options.plan:
        return _plan(options, work, lambda job: planned_clips(job.source))
    results = _run(options, work, lambda job: _opened(job.source), file, "knobs")
    save_text(file.with_suffix(".md"), hypotheses(results))
    for knob in [knob for knob in knobs if knob in VALUES and is_main()]:
        figure, dataset = draw_knob(results, knob), chosen_dataset(options)
        about = {"parameters": {"knob": knob, "runs": file.name}, "dataset": dataset}
        save_figure(figure, f"knob_{knob}", folder=file.parent, **about)
    _say(f"written: {file}")


_opened = lru_cache(maxsize=2)(open_dataset)


def _table_figure(table, results, rows, dataset, file: Path) -> None:
    from statkit.gallery.save import save_figure
    from statkit.plots.comparison import draw_comparison
    from statkit.plots.resolutions import draw_resolutions

    draw = draw_resolutions if table.sizes else draw_comparison
    about = {"chance": 100 / len(dataset.classes), "generated": dataset.generated}
    figure = draw(results, {row: TITLES[row] for row in rows}, **about)
    parameters = {"rows": list(rows), "runs": file.name}
    save_figure(figure, file.stem, parameters=parameters, dataset=dataset, folder=file.parent)


def forecast(options) -> None:
    """Forecast the gain of SAT+TAT from what is known after stage one, and write its runs."""
    if options.plan:
        options.rows = ["teacher", "student"]
        return train(options)
    _check_out(options.out)
    dataset = chosen_dataset(options)
    configs, how = (chosen_config(options, dataset),), experiment_options(options)
    rows, runs = ("teacher", "student"), []
    for seed in options.seeds:
        job = Job("", configs, rows, seed, probe=True)
        runs += _shown(run_job(job, dataset, fresh=False, progress=True, **how))
    if options.out and is_main():
        print(f"written: {write_results(options.out, runs)}")
    known, model = summary("", runs).features, shipped_model()
    found = model(known, clips=len(dataset.split(configs[0].split).test))
    _say("\n" + ", ".join(f"{n} {value:.3g}" for n, value in known.items() if isfinite(value)))
    if found.interval:
        low, high = found.interval
        _say(f"expected gain of SAT+TAT: {found.gain.mean:+.1f} points, {low:+.1f} to {high:+.1f}")
        _say(f"chance of more than {WORTH:g} points: {100 * found.chance:.0f} %")
    answer = [f"answer: {found.words}", *found.reasons, f"next: {NEXT[found.words]}"]
    _say("\n".join([*answer, model.text()]))
    _say("The forecast was never fitted to real clips. " + forecasts(model, real_sets())[1])


def _check_out(out: Path | None) -> None:
    """Raise an error before the work if its results cannot be written."""
    if out:
        require_place(out)


def _experiments(options) -> list[Experiment]:
    dataset = chosen_dataset(options)
    config = chosen_config(options, dataset)
    how = {"fresh": options.command == "train", **experiment_options(options)}
    return [Experiment(dataset, config, seed, **how) for seed in options.seeds]


def _plan(options, work: list[Job], dataset: Clips) -> None:
    print(f"{plan_runs(work, dataset, **experiment_options(options)).text()}\n")


def _say(line: str) -> None:
    """Print a line once, also if several processes train together."""
    if is_main():
        print(line, flush=True)


def _shown(results: Iterable[Result]) -> Iterator[Result]:
    """The results, each printed as it comes."""
    for result in results:
        _say(_line(result))
        yield result


def _line(result: Result) -> str:
    return (
        f"{result.row:18s} seed {result.seed} split {result.split}  {result.backbone} "
        f"{result.resolution}  prec@1 {result.prec1:5.1f}  prec@5 {result.prec5:5.1f}  "
        f"({result.epochs} epochs, {result.seconds:.0f} s on {result.device})"
    )


def _report(found: Iterable[Result], options) -> None:
    """Print results as they come, then a table of them, and write them to ``--out``."""
    results = list(_shown(found))
    _say("\n" + markdown(lines_of(results, dict.fromkeys(run.row for run in results))))
    if options.out and is_main():
        print(f"written: {write_results(options.out, results)}")
