"""The commands that train and measure: train, evaluate, tables, forecast."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from statkit.errors import StatkitError
from statkit.runtime.processes import cores, is_main, processes

from .chosen import (
    chosen_config,
    chosen_dataset,
    chosen_preset,
    chosen_rows,
    executor_of,
    experiment_options,
)


def train(options) -> None:
    """Train rows of Table 3 and measure them."""
    from statkit.experiments.grid import Job

    results = []
    if options.plan:
        dataset = chosen_dataset(options)
        configs, rows = (chosen_config(options, dataset),), tuple(chosen_rows(options))
        return _plan(options, [Job("", configs, rows, seed) for seed in options.seeds], dataset)
    for experiment in _experiments(options):
        for row in chosen_rows(options):
            results.append(experiment.result(row))
            _say(_line(results[-1]))
    _report(results, options)


def evaluate(options) -> None:
    """Measure rows that were trained, and a linear probe, which a trained teacher must exceed."""
    results = []
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
    for result in results:
        _say(_line(result))
    _report(results, options)


def tables(options) -> None:
    """Run the paper's tables as grids, or continue them, beside the paper's numbers."""
    from statkit.experiments.grid import TABLES, plan, run_jobs
    from statkit.experiments.paper import paper_column
    from statkit.experiments.results import write_results
    from statkit.experiments.tables import latex, lines_of, markdown, plain_markdown
    from statkit.runtime.cache import save_text

    if processes() > 1 and (options.dask or options.workers > 1):
        raise StatkitError("spread a grid over workers, or each training over processes: not both")
    dataset = chosen_dataset(options)
    config = chosen_config(options, dataset)
    preset, names = chosen_preset(options), options.table
    for name in names or [preset.table if preset else "3"]:
        if name == "knobs":
            _knobs(options, config)
            continue
        table, own = TABLES[name], preset if preset and name == preset.table else TABLES[name]
        rows = options.rows or own.rows
        splits = options.splits or (preset.splits if preset else (1,))
        jobs = plan(name, dataset, config, options.seeds, splits, rows)
        if options.plan:
            _plan(options, jobs, dataset)
            continue
        total, results = sum(len(job) for job in jobs), []
        file = options.out / f"table_{name}{f'_{options.preset}' if preset else ''}.csv"
        with executor_of(options) as executor:
            how = experiment_options(options)
            if executor and options.dask in (None, "local"):  # cluster workers have their own
                how["threads"] = max(1, cores() // max(1, options.workers))
            for new in run_jobs(jobs, dataset, executor, **how):
                results += new
                if is_main():
                    write_results(file, results)
                for result in new:
                    _say(f"{table.title}  {len(results)}/{total}  {_line(result)}")
        if not is_main():
            continue
        results.sort(key=lambda result: (result.split, result.seed))
        write_results(file, results)
        column = paper_column(config.backbone)
        about = {"baseline": table.baseline, "table": name, "backbone": column}
        lines = lines_of(results, rows, **about)
        kind = "generated" if dataset.generated else "real"
        caption = f"{table.title}, on {dataset.name} ({len(dataset)} {kind} clips)"
        save_text(file.with_suffix(".md"), f"{plain_markdown(caption)}\n\n{markdown(lines)}")
        save_text(file.with_suffix(".tex"), latex(lines, caption))
        _table_figure(table, results, rows, dataset, file)
        print(
            f"\n{caption}\n\n{markdown(lines)}\nwritten: {file.with_suffix('')}.csv .md .tex .png"
        )


def _knobs(options, config) -> None:
    """Run the knob experiment, or continue it: one file of runs, and one figure per knob."""
    from statkit.experiments.grid import run_jobs
    from statkit.experiments.knobs import KNOBS, VALUES, conditions, jobs
    from statkit.experiments.ledger import hypotheses
    from statkit.experiments.results import write_results
    from statkit.gallery.save import save_figure
    from statkit.plots.knobs import draw_knob
    from statkit.runtime.cache import save_text

    if options.data not in ("demo", "demo-small"):
        raise StatkitError(f"only generated clips have knobs, not {options.data}")
    knobs = options.knob or KNOBS
    work = jobs(conditions(knobs, config, options.data), options.seeds, options.rows)
    if options.plan:
        return _plan(options, work, _planned_clips)
    results, total, file = [], sum(len(job) for job in work), options.out / "knobs.csv"
    with executor_of(options) as executor:
        for new in run_jobs(
            work, lambda job: _opened(job.source), executor, **experiment_options(options)
        ):
            results += new
            if is_main():
                write_results(file, results)
            for result in new:
                _say(f"knobs  {len(results)}/{total}  {_line(result)}")
    save_text(file.with_suffix(".md"), hypotheses(results))
    for knob in [knob for knob in knobs if knob in VALUES and is_main()]:
        figure, dataset = draw_knob(results, knob), chosen_dataset(options)
        about = {"parameters": {"knob": knob, "runs": file.name}, "dataset": dataset}
        save_figure(figure, f"knob_{knob}", folder=file.parent, **about)
    _say(f"written: {file}")


@lru_cache(maxsize=2)
def _opened(source: str):
    from data_prep import open_dataset

    return open_dataset(source)


def _planned_clips(job):
    """The clips of a job if they are here; otherwise a placeholder, so that a plan draws none."""
    from data_prep import generated_set
    from statkit.experiments.plan import imagined_dataset

    folder, card = generated_set(job.source)
    if "knobs" not in card or (folder / "truth.npz").is_file():
        return _opened(job.source)
    classes = len(card["actions"])
    return imagined_dataset(card["train"], classes, test=card["test"], name=folder.name)


def _table_figure(table, results, rows, dataset, file: Path) -> None:
    from statkit.experiments.rows import TITLES
    from statkit.gallery.save import save_figure
    from statkit.plots.comparison import draw_comparison
    from statkit.plots.resolutions import draw_resolutions

    about = {"chance": 100 / len(dataset.classes), "generated": dataset.generated}
    titles = {row: TITLES[row] for row in rows}
    draw = draw_resolutions if table.sizes else draw_comparison
    parameters = {"rows": list(rows), "runs": file.name}
    figure = draw(results, titles, **about)
    save_figure(figure, file.stem, parameters=parameters, dataset=dataset, folder=file.parent)


def forecast(options) -> None:
    """Forecast the gain of SAT+TAT on a data set from its teacher and its plain student alone."""
    from statkit.experiments.conditions import summary
    from statkit.experiments.forecast import shipped_model

    if options.plan:
        options.rows = ["teacher", "student"]
        return train(options)
    runs = []
    for experiment in _experiments(options):
        for row in ("teacher", "student"):
            runs.append(experiment.with_attention(row))
            _say(_line(runs[-1]))
        runs.append(experiment.probe("pixels"))
        _say(_line(runs[-1]))
    known, model = summary("", runs).features, shipped_model()
    found = model(known)
    _say("\n" + ", ".join(f"{name} {value:.3g}" for name, value in known.items()))
    if found.interval:
        low, high = found.interval
        _say(f"expected gain of SAT+TAT: {found.gain.mean:+.1f} points, {low:+.1f} to {high:+.1f}")
    _say("\n".join([f"answer: {found.words}", *found.reasons, model.text()]))
    _say("The forecast was never fitted to real clips; lesson 11 tells how often it was right.")


def _experiments(options) -> list:
    from statkit.experiments.experiment import Experiment

    dataset = chosen_dataset(options)
    config = chosen_config(options, dataset)
    how = {"fresh": options.command is train, **experiment_options(options)}
    return [Experiment(dataset, config, seed, **how) for seed in options.seeds]


def _plan(options, jobs, dataset) -> None:
    """Print the cost of the jobs."""
    from statkit.experiments.plan import plan_runs

    print(f"{plan_runs(jobs, dataset, **experiment_options(options)).text()}\n")


def _say(line: str) -> None:
    """Print a line once, also if several processes train together."""
    if is_main():
        print(line, flush=True)


def _line(result) -> str:
    return (
        f"{result.row:18s} seed {result.seed} split {result.split}  {result.backbone} "
        f"{result.resolution}  prec@1 {result.prec1:5.1f}  prec@5 {result.prec5:5.1f}  "
        f"({result.epochs} epochs, {result.seconds:.0f} s on {result.device})"
    )


def _report(results, options) -> None:
    from statkit.experiments.results import write_results
    from statkit.experiments.tables import lines_of, markdown

    _say("\n" + markdown(lines_of(results, dict.fromkeys(run.row for run in results))))
    if options.out and is_main():
        print(f"written: {write_results(options.out, results)}")
