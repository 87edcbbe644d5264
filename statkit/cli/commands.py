"""The command line: prepare, train, evaluate, tables, forecast, claims, figures, book, grade."""

import codecs
import os
import shlex
import sys
import traceback
import unicodedata
from dataclasses import replace
from functools import partial
from importlib import import_module

from statkit.errors import StatkitError, in_one_line
from statkit.runtime.progress import close_bars

from .options import (
    OPTIONS,
    Parser,
    add_claims,
    add_figures,
    add_flags,
    add_preparation,
    add_training,
)

IN_RUNS = ("train", "evaluate", "tables", "forecast")  # a module whose imports take seconds
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
        home = import_module(f"statkit.cli.{'runs' if options.command in IN_RUNS else 'commands'}")
        getattr(home, options.command)(options)
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
    from data_prep.prepared import verify_prepared

    if options.verify:
        print("\n".join(verify_prepared(options.verify, sources=True)))
    elif options.kind in (None, "demo") and not (options.out or options.source or options.fetch):
        _keep_frames(options)
    else:
        _prepare_set(options)


def _keep_frames(options) -> None:
    """Store the frames of generated clips, or of an unprepared folder, in the cache."""
    from statkit.data.stored import store_frames
    from statkit.experiments.presets import starting_config

    from .chosen import chosen_dataset, with_given

    dataset = chosen_dataset(options)
    frames = starting_config(dataset, preset=options.preset).frames
    store = store_frames(dataset, with_given(options, frames))
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
    from statkit.experiments.presets import PRESETS

    from .chosen import with_given

    kind, source = options.kind, options.source
    settings = PRESETS[options.preset].config.frames if options.preset else FRAMES
    if not kind or not options.out:
        raise StatkitError("name the kind and the output folder: statkit prepare KIND --out FOLDER")
    if kind == "demo":
        demo = open_dataset(options.data)
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
        settings=with_given(options, settings),
        all_frames=options.frames_per_clip == "all",
        how=How(options.workers, options.dask, options.limit, options.strict),
    )
    use = "--data DATA --unlabelled" if kind == "unlabelled" else "--data"
    print(f"prepared: statkit train {use} {shlex.quote(str(options.out))} ...")


def claims(options) -> None:
    """Write CLAIMS.md: each claim of the paper, and what the committed runs show."""
    from statkit.experiments.forecast import real_runs
    from statkit.experiments.ledger import ledger
    from statkit.experiments.results import comparable, read_results
    from statkit.runtime.cache import save_text

    files = {words: sorted(options.results.glob(name)) for words, name in LEDGERS.items()}
    runs = {words: [run for f in some for run in read_results(f)] for words, some in files.items()}
    sets = {words: comparable(some) for words, some in runs.items() if some}
    if not sets:
        raise StatkitError(f"{options.results}: no runs in it ({', '.join(LEDGERS.values())})")
    knobs = options.results / "knobs.csv"
    measured = read_results(knobs) if knobs.is_file() else ()
    text = ledger(sets, measured, real_runs(options.results))
    print(f"written: {save_text(options.out, text)}")


def figures(options) -> None:
    """Run the notebooks headless; figures and tables go to the figures folder."""
    from statkit.gallery.book import RECORDED, write_book
    from statkit.gallery.runner import NotebookError, run_notebooks, sweep_notebooks
    from statkit.runtime.processes import executor

    folder, only = options.notebooks.resolve(), [n.zfill(2) for n in options.only or ()]
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    notebooks = [n for n in found if n.name.startswith(tuple(only or [""]))]
    missing = [words for words in only if not any(n.name.startswith(words) for n in found)]
    if missing or not notebooks:
        names = " ".join(missing) or "notebook"
        raise NotebookError(f"there is no {names} in {folder}; --notebooks names the folder")
    how = {"defaults": {"dataset": "demo-small", "epochs": 2} if options.quick else {}}
    parameters = dict(options.parameter)
    if "figures" in (*parameters, *(options.sweep or ())[:1]):
        raise StatkitError("figures: the option --out names the folder of the figures")
    if options.sweep:
        name, *values = options.sweep
        if not values:
            raise StatkitError(f"--sweep {name}: name the values, too")
        with executor(options.dask, options.workers or 2) as pool:
            sweep_notebooks(notebooks, options.out, parameters, (name, values), pool, **how)
        print(f"figures and tables are in {options.out}, a folder a value")
        return
    record = options.out / "book" / RECORDED if options.command == "book" else None
    how |= {"workers": options.workers, "record": record}
    run_notebooks(notebooks, options.out, parameters, **how)
    page = write_book(options.out)
    megabytes = sum(file.stat().st_size for file in page.parent.rglob("*.*")) / 1e6
    print(f"figures and tables are in {options.out}, as a book: {page} ({megabytes:.1f} MB)")


book = figures  # which also records the notebooks' controls for this command


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


def _parser(word: str) -> Parser:
    """A parser with all commands by name, but only the options of the command ``word``: the
    imports for options take seconds."""
    parser = Parser(
        prog="statkit",
        description="Extreme low-resolution activity recognition with attention transfer.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    fillers = {
        "prepare": add_preparation,
        "evaluate": partial(add_training, probe=True),
        "tables": partial(add_training, grid=True),
        "forecast": partial(add_training, forecast=True),
        "claims": add_claims,
        "figures": add_figures,
        "book": partial(add_figures, sweep=False),
        "grade": partial(add_flags, section="grading"),
    }
    for name, words in OPTIONS["commands"].items():
        usage = f"statkit {name} [options]"
        sub = commands.add_parser(name, help=words, description=words, usage=usage)
        sub.set_defaults(command=name)
        if name == word:
            fillers.get(name, add_training)(sub)
    return parser
