"""Options of the commands, and the parsing of their values."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from statkit.runtime.cache import REPOSITORY
from statkit.runtime.parameters import SIZE, Parameter, ParameterError, parameters_of, pasted_path
from statkit.shipped import SHIPPED

KINDS = {int: "N", float: "X", SIZE: SIZE, str: "WORD"}


class Parser(argparse.ArgumentParser):
    """An argument parser that prints an error as one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help has all options\n")


def add_value(group, flag: str, parameter: Parameter, otherwise: str = "", **options) -> None:
    """A flag with the range, the meaning and the check of a declared parameter.

    Args:
        otherwise: the default in words, for the help.
    """

    def read(text: str):
        try:
            return parameter.read(flag.removeprefix("--"), text)
        except ParameterError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    words = [parameter.meaning, *([f"default: {otherwise}"] if otherwise else [])]
    if parameter.kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        choices = "{" + ",".join(map(str, parameter.choices)) + "}"
        options |= {"type": read, "metavar": choices if parameter.choices else None}
        options["metavar"] = options["metavar"] or KINDS[parameter.kind]
        if not parameter.choices:
            words.insert(1, parameter.range)
    group.add_argument(flag, help="; ".join(words).replace("%", "%%"), **options)


def add_fields(group, defaults: dict[str, object], skip: Sequence[str] = ()) -> None:
    """A flag for each declared field of a dataclass.

    Args:
        defaults: words -> an instance with the defaults for that case; the first has no words.
        skip: fields without a flag.
    """
    first = next(iter(defaults.values()))
    for name, parameter in parameters_of(type(first)).items():
        if name in skip:
            continue
        words = {when: parameter.words(getattr(one, name)) for when, one in defaults.items()}
        start, *others = words.items()
        differ = [f"{word} for {when}" for when, word in others if word != start[1]]
        flag = "--" + (parameter.flag or name.replace("_", "-"))
        add_value(group, flag, parameter, ", ".join([start[1], *differ]), dest=name)


def _frames(text: str) -> int | str:
    if text == "all" or (text.isdigit() and int(text)):
        return text if text == "all" else int(text)
    raise argparse.ArgumentTypeError(f"a number of frames, or all; got {text!r}")


def path(text: str) -> Path:
    """A path as typed, relative to the current folder, see
    :func:`statkit.runtime.parameters.pasted_path`."""
    return pasted_path(text).absolute()


def _weights(text: str) -> bool | str:
    return {"yes": True, "no": False}.get(text) if text in ("yes", "no") else str(path(text))


def add_preparation(sub: argparse.ArgumentParser) -> None:
    from data_prep.prepare import FRAMES
    from statkit.experiments.presets import PRESETS

    sub.usage = "statkit prepare [KIND] [options]"
    add_fields(_add_data(sub), {"": FRAMES}, skip=["frames_per_clip"])
    how = sub.add_argument_group("preparation")
    how.add_argument("--preset", choices=sorted(PRESETS), help="frames as this run takes them")
    how.add_argument(
        "kind",
        nargs="?",
        choices=["ucf101", "hmdb51", "folder", "unlabelled", "demo"],
        help="what the source is; without one, the frames of --data are kept in the cache",
    )
    how.add_argument("--source", type=path, help="an archive, or a folder of archives or clips")
    how.add_argument("--out", type=path, metavar="FOLDER", help="the prepared set's own folder")
    how.add_argument(
        "--frames",
        dest="frames_per_clip",
        type=_frames,
        metavar="N|all",
        help=f"frames to keep of a clip ({FRAMES.frames_per_clip}), or all",
    )
    add_value(how, "--workers", WORKERS, "one per core")
    how.add_argument("--dask", metavar="ADDRESS|local", help="spread over a Dask cluster")
    how.add_argument("--strict", action="store_true", help="stop at the first bad or missing clip")
    limit = Parameter(float, "seconds that the decoding of a clip may make no progress", above=0)
    add_value(how, "--limit", limit, "8", default=8.0)
    how.add_argument("--fetch", action="store_true", help="download the archives first")
    how.add_argument("--mirror", metavar="URL", help="a folder of the archives, to fetch from")
    how.add_argument("--verify", type=path, metavar="FOLDER", help="check a prepared set, no more")


WORKERS = Parameter(int, "processes", least=1)


def add_dask(sub: argparse.ArgumentParser, what: str) -> None:
    sub.add_argument(
        "--dask",
        metavar="ADDRESS|local",
        help=f"spread {what} over a Dask cluster, or over one made on this machine",
    )


def _add_data(sub: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    data = sub.add_argument_group("data")
    data.add_argument(
        "--data",
        default="demo",
        metavar="SOURCE",
        help="demo (default), demo-small, a prepared folder, or a folder of class folders",
    )
    data.add_argument("--lists", type=path, help="UCF101's or HMDB51's split lists")
    return data


def add_training(sub: argparse.ArgumentParser, *, grid: bool = False, probe: bool = False) -> None:
    """Add the options of train; of evaluate if ``probe``; of tables if ``grid``."""
    from statkit.experiments.grid import TABLES
    from statkit.experiments.knobs import KNOBS
    from statkit.experiments.presets import PRESETS
    from statkit.experiments.rows import ROWS, TABLE_3
    from statkit.experiments.settings import DEMO, REAL
    from statkit.recipes import RECIPES

    seed = Parameter(int, "seeds, one run each", least=0, most=2**32 - 1)
    split = Parameter(int, "numbers of official splits", least=1)
    data = _add_data(sub)
    add_fields(data, {"": DEMO.frames, "real clips": REAL.frames})
    if grid:
        add_value(data, "--splits", split, "1; of a preset, its own", nargs="+")
    data.add_argument(
        "--unlabelled",
        metavar="SOURCE",
        help="clips of the unlabelled stage (the training clips, without their labels)",
    )
    how = sub.add_argument_group("networks and runs")
    how.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="a run of the paper with all its settings, which other options change",
    )
    add_fields(how, {"": DEMO, "real clips": REAL}, ["split", "student_epochs"] if grid else [])
    how.add_argument(
        "--pretrained",
        type=_weights,
        metavar="yes|no|FILE",
        help="torchvision's weights, none, or a file (default: no, yes for real clips)",
    )
    how.add_argument(
        "--student-pretrained",
        type=_weights,
        metavar="yes|no|FILE",
        help="the same for all networks but the teacher (default: as --pretrained)",
    )
    add_value(how, "--seeds", seed, "0", nargs="+", default=[0])
    training = sub.add_argument_group("training")
    training.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="defaults of the options below (default: quick, finetune for real clips)",
    )
    add_fields(training, {"": DEMO.recipe, "real clips": REAL.recipe})
    choices = sub.add_argument_group("what the paper leaves open")
    add_fields(choices, {"": DEMO.choices})
    how.add_argument(
        "--live-teacher",
        action="store_true",
        help="ask the teacher anew at every step: exact, and several times slower",
    )
    how.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    how.add_argument(
        "--plan",
        action="store_true",
        help="print the cost (trainings, steps, disk, memory, hours), and train nothing",
    )
    for flag, what in (("--clips", "training clips"), ("--classes", "classes")):
        number = Parameter(int, f"with --plan, number of {what} of a data set not here", least=2)
        add_value(how, flag, number)
    micro = Parameter(int, "most clips that the device holds at a time in training", least=1)
    add_value(how, "--micro-batch", micro, "the whole batch; halved where memory does not suffice")
    if grid:
        sub.add_argument(
            "--table",
            nargs="+",
            choices=[*TABLES, "knobs"],
            help="which of the paper's tables (3; of a preset, its own); strides: sizes that an LR "
            "frame is enlarged to; labels: how many there are; knobs: generated clips with one "
            "property changed at a time",
        )
        sub.add_argument(
            "--knob", nargs="+", choices=KNOBS, help="with --table knobs, only these (all)"
        )
    names, theirs = ", ".join(ROWS), f"(default: the preset's, or {' '.join(TABLE_3)})"
    sub.add_argument(
        "--rows",
        nargs="+" if grid else "*",
        choices=list(ROWS),
        metavar="ROW",
        help=f"instead of the table's own rows, of: {names}" if grid else f"of: {names} {theirs}",
    )
    if grid:
        add_value(sub, "--workers", WORKERS, "1; they share the seeds", default=1)
        add_dask(sub, "the seeds")
        out = REPOSITORY / "figures" / "tables"
        sub.add_argument("--out", type=path, default=out, metavar="FOLDER")
    else:
        sub.add_argument("--out", type=path, metavar="CSV", help="write the runs to this file")
    if probe:
        sub.add_argument("--probe", action="store_true", help="add the linear probe")


def add_claims(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--out", type=path, default=REPOSITORY / "CLAIMS.md", metavar="FILE")
    sub.add_argument("--results", type=path, default=SHIPPED, metavar="FOLDER")


def add_figures(sub: argparse.ArgumentParser, *, sweep: bool = True) -> None:
    from statkit.gallery.parameters import PARAMETERS

    sub.add_argument("--only", nargs="+", metavar="NN", help="notebooks by number, such as 01 04")
    sub.add_argument("--quick", action="store_true", help="a few clips and epochs, to see it run")
    sub.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter for the notebooks that have it; a path is relative to here. "
        + "; ".join(
            f"{name}: {parameter.meaning} ({parameter.range})"
            for name, parameter in PARAMETERS.items()
        ),
    )
    sub.set_defaults(sweep=None)
    if sweep:
        sub.add_argument(
            "--sweep",
            nargs="+",
            metavar=("NAME", "VALUE"),
            help="run them once for each value of a parameter, into a folder per value",
        )
        add_dask(sub, "the runs of a sweep")
    add_value(sub, "--workers", WORKERS, "one per core, at most 4; a notebook each")
    sub.add_argument("--out", type=path, default=REPOSITORY / "figures", metavar="FOLDER")
    sub.add_argument("--notebooks", type=path, default=REPOSITORY / "notebooks", metavar="FOLDER")


def add_grading(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("notebook", type=path, help="a lesson with answers in its exercise cells")
    limit = Parameter(float, "seconds per exercise", above=0)
    add_value(sub, "--limit", limit, "30", default=30.0)
    sub.add_argument("--out", type=path, metavar="JSON", help="write the grades to this file")
