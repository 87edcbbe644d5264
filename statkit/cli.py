"""The command line: statkit prepare | train | evaluate | figures | bench."""

from __future__ import annotations

import argparse
import ast
import sys
from dataclasses import replace
from pathlib import Path

from .cache import REPOSITORY
from .datasets import DatasetError
from .gallery import NotebookError
from .training import CheckpointError
from .video import VideoError

ANTICIPATED = (DatasetError, VideoError, CheckpointError, NotebookError, ValueError)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; 0 if all went well, 1 with one line on stderr if not, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except ANTICIPATED as error:
        print(f"statkit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstatkit: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def prepare(options) -> None:
    """Index a data set and keep its frames."""
    experiment = _experiments(options)[0]
    dataset, store = experiment.dataset, experiment.store
    kind = "generated" if dataset.generated else "real"
    print(f"{dataset.name}: {len(dataset)} {kind} clips, {len(dataset.classes)} classes")
    for number, split in sorted(dataset.splits.items()):
        print(f"split {number}: {len(split.train)} train, {len(split.test)} test")
    print(f"frames kept: HR {store.hr.shape}, LR {store.lr.shape}, fingerprint {store.fingerprint}")


def train(options) -> None:
    """Train rows of Table 3 and measure them."""
    results = []
    for experiment in _experiments(options):
        for row in options.rows:
            results.append(experiment.result(row))
            print(_line(results[-1]), flush=True)
    _report(results, options)


def evaluate(options) -> None:
    """Measure rows that were trained, and a linear probe as the line a teacher must beat."""
    results = []
    for experiment in _experiments(options):
        for row in options.rows:
            if not experiment.trained(row):
                raise ValueError(
                    f"{row} with seed {experiment.seed} is not trained for these settings; "
                    "run statkit train with the same options first"
                )
            results.append(experiment.result(row))
        if options.probe:
            results += [experiment.probe(side) for side in ("hr", "lr")]
    for result in results:
        print(_line(result))
    _report(results, options)


def figures(options) -> None:
    """Run the notebooks headless; figures and tables go to the figures folder."""
    from .gallery import run_notebooks

    folder = options.notebooks
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if options.only:
        notebooks = [nb for nb in notebooks if any(nb.name.startswith(o) for o in options.only)]
    if not notebooks:
        raise NotebookError(f"no such notebook in {folder}")
    parameters = {"dataset": "demo-small", "epochs": 2} if options.quick else {}
    parameters |= {name: _value(text) for name, text in options.parameter}
    run_notebooks(notebooks, options.out, parameters, workers=options.workers)
    print(f"figures and tables are in {options.out}")


def bench(options) -> None:
    """Compare costs side by side."""
    from data_prep import open_dataset

    from .bench import run_benchmarks
    from .experiments import Experiment

    run_benchmarks(Experiment(open_dataset("demo-small")), options.only, options.json)


def _experiments(options) -> list:
    from data_prep import open_dataset

    from .experiments import Experiment, default_setting

    dataset = open_dataset(options.data, lists=options.lists)
    setting = default_setting(dataset, epochs=options.epochs)
    if options.backbone and options.backbone != setting.backbone:
        setting = replace(setting, backbone=options.backbone, pretrained=False, segments=None)
    changes = {
        "segments": options.segments,
        "pretrained": options.pretrained,
        "student_size": options.student_size,
        "split": options.split,
    }
    setting = replace(setting, **{k: v for k, v in changes.items() if v is not None})
    frames = {"lr_size": options.lr_size, "hr_size": options.hr_size}
    frames = {k: v for k, v in frames.items() if v is not None}
    setting = replace(setting, frames=replace(setting.frames, **frames))
    if options.batch_size is not None:
        recipe = replace(setting.recipe, batch_size=options.batch_size)
        setting = replace(setting, recipe=recipe)
    return [Experiment(dataset, setting, seed, device=options.device) for seed in options.seeds]


def _line(result) -> str:
    return (
        f"{result.row:18s} seed {result.seed} split {result.split}  {result.backbone} "
        f"{result.resolution}  prec@1 {result.prec1:5.1f}  prec@5 {result.prec5:5.1f}  "
        f"({result.epochs} epochs, {result.seconds:.0f} s on {result.device})"
    )


def _report(results, options) -> None:
    from .experiments import TITLES
    from .plots.comparison import comparison_markdown
    from .results import write_results

    print("\n" + comparison_markdown(results, TITLES))
    if options.out:
        print(f"written: {write_results(options.out, results)}")


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(n) for n in text.lower().split("x"))
    except ValueError as error:
        message = f"a size is HEIGHTxWIDTH, such as 12x16; got {text!r}"
        raise argparse.ArgumentTypeError(message) from error
    return height, width


def _weights(text: str) -> bool | str:
    return {"yes": True, "no": False}.get(text, text)


def _value(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _parser() -> argparse.ArgumentParser:
    from .experiments import ROWS, TABLE_3
    from .models import MODELS

    parser = argparse.ArgumentParser(
        prog="statkit",
        description="Extreme low-resolution activity recognition with attention transfer.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(function, name: str) -> argparse.ArgumentParser:
        words = function.__doc__
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(command=function)
        return sub

    for function in (prepare, train, evaluate):
        sub = command(function, function.__name__)
        data = sub.add_argument_group("data")
        data.add_argument(
            "--data",
            default="demo",
            metavar="SOURCE",
            help="demo (default), demo-small, or a folder of class folders of clips",
        )
        data.add_argument("--lists", type=Path, help="folder of UCF101 or HMDB51 split lists")
        data.add_argument("--split", type=int, help="number of the official split (1)")
        data.add_argument("--lr-size", type=_size, help="low resolution (12x16)")
        data.add_argument("--hr-size", type=_size, help="the teacher's network size")
        how = sub.add_argument_group("networks and training")
        how.add_argument("--backbone", choices=sorted(MODELS), help="another network")
        how.add_argument("--segments", type=int, help="K, intervals a clip")
        how.add_argument(
            "--pretrained",
            type=_weights,
            metavar="yes|no|FILE",
            help="torchvision's weights, none, or a file (default: yes for real clips)",
        )
        how.add_argument("--student-size", type=_size, help="LR frames are enlarged to this")
        how.add_argument("--epochs", type=int)
        how.add_argument("--batch-size", type=int)
        how.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each (0)")
        how.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
        if function is not prepare:
            sub.add_argument(
                "--rows",
                nargs="*",
                choices=list(ROWS),
                default=list(TABLE_3),
                help=f"which to run (default: {' '.join(TABLE_3)})",
            )
            sub.add_argument("--out", type=Path, metavar="CSV", help="write the runs to this file")
        if function is evaluate:
            sub.add_argument("--probe", action="store_true", help="add the linear probe")

    sub = command(figures, "figures")
    sub.add_argument("--only", nargs="+", metavar="NN", help="notebooks by number, such as 01 04")
    sub.add_argument("--quick", action="store_true", help="a few clips and epochs, to see it run")
    sub.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter for the notebooks that have it",
    )
    sub.add_argument("--workers", type=int, help="notebooks at a time (half the cores)")
    sub.add_argument("--out", type=Path, default=REPOSITORY / "figures", metavar="FOLDER")
    sub.add_argument("--notebooks", type=Path, default=REPOSITORY / "notebooks", metavar="FOLDER")

    sub = command(bench, "bench")
    sub.add_argument("--only", nargs="+", metavar="NAME", help="some of the comparisons")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
