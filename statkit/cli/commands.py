"""The command line: prepare, train, evaluate, tables, forecast, claims, figures, book, grade."""

from __future__ import annotations

import codecs
import os
import shlex
import sys
import traceback
import unicodedata
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from statkit.errors import StatkitError, in_one_line
from statkit.runtime.parameters import parameters_of
from statkit.runtime.processes import cores, dask_executor, is_main, process_pool, processes
from statkit.runtime.progress import close_bars

from .options import (
    Parser,
    add_claims,
    add_figures,
    add_grading,
    add_preparation,
    add_training,
)

LEDGERS = {"generated clips": "demo*.csv", "real clips": "ucf101*.csv"}


def main(arguments: list[str] | None = None) -> int:
    """Entry point; 0 if all went well, 1 with one line on stderr for an error of the user,
    a disk or a network, 2 with a traceback for a fault of statkit, 130 on Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    codecs.register_error("statkit", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="statkit")
    options = _parser(next(iter(arguments), "")).parse_args(arguments)
    try:
        options.command(options)
    except BrokenPipeError:  # of "statkit ... | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        close_bars()
        line = in_one_line(error)
        if line:
            print(f"statkit: {line}", file=sys.stderr)
            return 1
        traceback.print_exc()
        print("statkit: a fault of statkit itself; please report these lines", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstatkit: stopped; run the same command again to continue", file=sys.stderr)
        return 130
    return 0


def _nearest(error: UnicodeEncodeError) -> tuple[str, int]:
    """Replace characters that a terminal cannot show: by the nearest one, or by their code."""
    letters = error.object[error.start : error.end]
    plain = unicodedata.normalize("NFKD", letters.translate({0x2212: "-", 0xD7: "x"}))
    kept = [c if c.isascii() else f"\\u{ord(c):04x}" for c in plain if not unicodedata.combining(c)]
    return "".join(kept), error.end


def prepare(options) -> None:
    """Prepare a data set: decode every clip once, so that training never has to."""
    if options.verify:
        from data_prep.prepared import verify_prepared

        print("\n".join(verify_prepared(options.verify, sources=True)))
    elif options.kind in (None, "demo") and not options.out:
        _keep_frames(options)
    else:
        _prepare_set(options)


def _keep_frames(options) -> None:
    """Store the frames of generated clips, or of an unprepared folder, in the cache."""
    from statkit.data.stored import store_frames
    from statkit.experiments.settings import default_config

    dataset = _dataset(options)
    frames = _preset(options).config.frames if options.preset else default_config(dataset).frames
    store = store_frames(dataset, _with_given(options, frames))
    store.fill()
    kind = "generated" if dataset.generated else "real"
    print(f"{dataset.name}: {len(dataset)} {kind} clips, {len(dataset.classes)} classes")
    for number, split in sorted(dataset.splits.items()):
        print(f"split {number}: {len(split.train)} train, {len(split.test)} test")
    print(f"frames kept: HR {store.hr.shape}, LR {store.lr.shape}, fingerprint {store.fingerprint}")


def _prepare_set(options) -> None:
    from data_prep import open_dataset
    from data_prep.fetch import fetch
    from data_prep.official import OFFICIAL
    from data_prep.prepare import FRAMES, How, prepare_set

    kind, source, settings = options.kind, options.source, FRAMES
    if options.preset:
        settings = _preset(options).config.frames
    if not kind or not options.out:
        raise StatkitError("name the kind and the output folder: statkit prepare KIND --out FOLDER")
    if kind == "demo":
        demo = open_dataset("demo" if options.data == "demo" else options.data)
        demo.require(range(len(demo)))
        kind, source = "folder", demo.root.parent
        if not options.preset:
            settings = replace(settings, frames_per_clip=16, hr_size=(72, 96))
    if options.fetch:
        if kind not in OFFICIAL:
            raise StatkitError(f"--fetch knows where {' and '.join(OFFICIAL)} are, not {kind}")
        print(OFFICIAL[kind].terms, flush=True)
        source = source or options.out / "downloads"
        fetch(OFFICIAL[kind].downloads, source, mirror=options.mirror)
    if source is None:
        raise StatkitError("name the folder of the clips: --source FOLDER or ARCHIVE (or --fetch)")
    prepare_set(
        kind,
        source,
        options.out,
        lists=options.lists,
        settings=_with_given(options, settings),
        all_frames=options.frames_per_clip == "all",
        how=How(options.workers, options.dask, options.limit, options.strict),
    )
    print(f"prepared: statkit train --data {shlex.quote(str(options.out))} ...")


def train(options) -> None:
    """Train rows of Table 3 and measure them."""
    from statkit.experiments.grid import Job

    results = []
    if options.plan:
        dataset = _dataset(options)
        configs, rows = (_setting(options, dataset),), tuple(_rows(options))
        return _plan(options, [Job("", configs, rows, seed) for seed in options.seeds], dataset)
    for experiment in _experiments(options):
        for row in _rows(options):
            results.append(experiment.result(row))
            _say(_line(results[-1]))
    _report(results, options)


def evaluate(options) -> None:
    """Measure rows that were trained, and a linear probe, which a trained teacher must exceed."""
    results = []
    for experiment in _experiments(options):
        for row in _rows(options):
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
    dataset = _dataset(options)
    config = _setting(options, dataset)
    preset, names = _preset(options), options.table
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
        with _executor(options) as executor:
            how = _how(options)
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
    with _executor(options) as executor:
        for new in run_jobs(work, lambda job: _opened(job.source), executor, **_how(options)):
            results += new
            if is_main():
                write_results(file, results)
            for result in new:
                _say(f"knobs  {len(results)}/{total}  {_line(result)}")
    save_text(file.with_suffix(".md"), hypotheses(results))
    for knob in [knob for knob in knobs if knob in VALUES and is_main()]:
        figure, dataset = draw_knob(results, knob), _dataset(options)
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


@contextmanager
def _executor(options) -> Iterator[Executor | None]:
    """The executor of a grid: none, processes of this machine, or a Dask cluster."""
    if options.dask:
        with dask_executor(options.dask, options.workers) as (executor, width):
            print(f"Dask: {width} workers", flush=True)
            yield executor
    elif options.workers > 1:
        with process_pool(options.workers) as pool:
            yield pool
    else:
        yield None


def claims(options) -> None:
    """Write CLAIMS.md: each claim of the paper, and what the committed runs show."""
    from statkit.experiments.ledger import ledger
    from statkit.experiments.results import comparable, read_results
    from statkit.runtime.cache import save_text

    files = {words: sorted(options.results.glob(name)) for words, name in LEDGERS.items()}
    runs = {words: [run for f in some for run in read_results(f)] for words, some in files.items()}
    sets = {words: comparable(some) for words, some in runs.items() if some}
    if not sets:
        raise StatkitError(f"{options.results}: no runs in it ({', '.join(LEDGERS.values())})")
    knobs = options.results / "knobs.csv"
    text = ledger(sets, read_results(knobs) if knobs.is_file() else ())
    print(f"written: {save_text(options.out, text)}")


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


def figures(options) -> None:
    """Run the notebooks headless; figures and tables go to the figures folder."""
    from statkit.gallery.book import RECORDED, write_book
    from statkit.gallery.runner import (
        NotebookError,
        run_notebooks,
        sweep_notebooks,
    )

    folder = options.notebooks
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if options.only:
        notebooks = [nb for nb in notebooks if any(nb.name.startswith(o) for o in options.only)]
    if not notebooks:
        raise NotebookError(f"no such notebook in {folder.resolve()}; --notebooks names the folder")
    how = {"defaults": {"dataset": "demo-small", "epochs": 2} if options.quick else {}}
    parameters = dict(options.parameter)
    if options.sweep:
        name, *values = options.sweep
        if not values:
            raise StatkitError(f"--sweep {name}: name the values, too")
        paths = [notebook.resolve() for notebook in notebooks]
        options.workers = options.workers or 2
        with _executor(options) as executor:
            sweep_notebooks(paths, options.out, parameters, (name, values), executor, **how)
        print(f"figures and tables are in {options.out}, a folder a value")
        return
    record = options.out / "book" / RECORDED if options.command is book else None
    how |= {"workers": options.workers, "record": record}
    run_notebooks(notebooks, options.out, parameters, **how)
    first = write_book(options.out)
    megabytes = sum(file.stat().st_size for file in first.parent.rglob("*.*")) / 1e6
    print(f"figures and tables are in {options.out}, as a book: {first} ({megabytes:.1f} MB)")


def book(options) -> None:
    """Run the notebooks and record their controls: a book that moves without a kernel."""
    figures(options)


def grade(options) -> None:
    """Grade the exercises of a notebook that was handed in; nothing else of it is run."""
    import json

    from statkit.exercises.grade import grade
    from statkit.runtime.cache import save_text

    grades = grade(options.notebook, limit=options.limit)
    for found in grades:
        print(f"{found.score}  {found.lesson}  {found.exercise}: {found.words}")
    score = sum(found.score for found in grades)
    print(f"{score} of {len(grades)}")
    if options.out:
        about = {"notebook": options.notebook.name, "score": score, "of": len(grades)}
        about["exercises"] = [found._asdict() for found in grades]
        print(f"written: {save_text(options.out, json.dumps(about, indent=1))}")


def _experiments(options) -> list:
    from statkit.experiments.experiment import Experiment

    dataset = _dataset(options)
    config = _setting(options, dataset)
    how = {"fresh": options.command is train, **_how(options)}
    return [Experiment(dataset, config, seed, **how) for seed in options.seeds]


def _how(options) -> dict:
    """The arguments of an experiment other than its configuration."""
    names = "live_teacher", "micro_batch", "device"
    given = {name: getattr(options, name) for name in names}
    return {"unlabelled": _unlabelled(options), **given}


def _plan(options, jobs, dataset) -> None:
    """Print the cost of the jobs."""
    from statkit.experiments.plan import plan_runs

    print(f"{plan_runs(jobs, dataset, **_how(options)).text()}\n")


def _dataset(options):
    from data_prep import open_dataset
    from statkit.runtime.distributed import main_first

    if getattr(options, "clips", None) and options.plan:
        from statkit.experiments.plan import imagined_dataset

        return imagined_dataset(options.clips, options.classes or 2)
    with main_first():
        return open_dataset(options.data, lists=options.lists)


def _unlabelled(options):
    from data_prep import open_dataset
    from statkit.runtime.distributed import main_first

    if not options.unlabelled:
        return None
    with main_first():
        return open_dataset(options.unlabelled)


def _say(line: str) -> None:
    """Print a line once, also if several processes train together."""
    if is_main():
        print(line, flush=True)


def _setting(options, dataset):
    """The configuration of the preset or the data set, changed by the options."""
    from statkit.backbones import find_weights
    from statkit.experiments.presets import starting_config, with_frames_for_network
    from statkit.experiments.settings import PARTS

    asked = {name: getattr(options, name) for name in ("preset", "recipe", "backbone")}
    config = starting_config(dataset, **asked)
    for name in ("pretrained", "student_pretrained"):
        if getattr(options, name) is not None:
            config = replace(config, **{name: getattr(options, name)})
    config = _with_given(options, config)
    parts = {name: _with_given(options, getattr(config, name)) for name in PARTS}
    config = replace(config, **parts)
    if not options.plan:  # raise the error before the frames are read
        for pretrained in (config.pretrained, config.student_pretrained):
            find_weights(config.backbone, pretrained or False)
    if options.frames_per_clip is None and options.consecutive is None:
        config = with_frames_for_network(config, dataset)
    return config


def _preset(options):
    from statkit.experiments.presets import PRESETS

    return PRESETS.get(options.preset)


def _rows(options) -> tuple[str, ...]:
    """The requested rows, the preset's rows, or the first rows of Table 3."""
    from statkit.experiments.rows import TABLE_3

    preset = _preset(options)
    return options.rows or (preset.rows if preset else TABLE_3)


def _with_given(options, part):
    """A part of a configuration with the fields that the command line gives."""
    given = {name: vars(options).get(name) for name in parameters_of(type(part))}
    return replace(part, **{n: v for n, v in given.items() if v not in (None, "all")})


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


def _parser(word: str) -> Parser:
    """A parser with all commands by name, but only the options of the command ``word``: the
    imports for options take seconds."""
    parser = Parser(
        prog="statkit",
        description="Extreme low-resolution activity recognition with attention transfer.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    fillers = {
        prepare: add_preparation,
        train: add_training,
        evaluate: partial(add_training, probe=True),
        tables: partial(add_training, grid=True),
        forecast: add_training,
        claims: add_claims,
        figures: add_figures,
        book: partial(add_figures, sweep=False),
        grade: add_grading,
    }
    for function, fill in fillers.items():
        words = function.__doc__
        name = function.__name__
        usage = f"statkit {name} [options]"
        sub = commands.add_parser(name, help=words, description=words, usage=usage)
        sub.set_defaults(command=function)
        if name == word:
            fill(sub)
    return parser
