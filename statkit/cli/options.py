"""Options of the commands (``options.toml``), and the parsing of their values."""

import argparse
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from statkit.runtime.cache import REPOSITORY
from statkit.runtime.parameters import SIZE, Parameter, ParameterError, parameters_of, pasted_path
from statkit.shipped import SHIPPED

OPTIONS = tomllib.loads(Path(__file__).with_name("options.toml").read_text("utf-8"))
KINDS = {int: "N", float: "X", SIZE: SIZE, str: "WORD"}
ONCE = ("seeds", "splits", "rows", "table", "knob")  # a run that is named twice is one run


class Parser(argparse.ArgumentParser):
    """An argument parser that prints an error as one line."""

    def parse_args(self, args=None, namespace=None):
        found = super().parse_args(args, namespace)
        for name in ONCE:
            if given := getattr(found, name, None):
                setattr(found, name, list(dict.fromkeys(given)))
        return found

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help has all options\n")


def add_value(group, flag: str, parameter: Parameter, otherwise: str = "", **options) -> None:
    """A flag with the range, the meaning and the check of a declared parameter; ``otherwise`` is
    the default in words."""

    def read(text: str):
        try:
            return parameter.read(flag.removeprefix("--"), text)
        except ParameterError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    words = [parameter.meaning, *([f"default: {otherwise}"] if otherwise else [])]
    if parameter.kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        names = ",".join(map(str, parameter.choices))
        options |= {"type": read, "metavar": f"{{{names}}}" if names else KINDS[parameter.kind]}
        if not names:
            words.insert(1, parameter.range)
    group.add_argument(flag, help="; ".join(words).replace("%", "%%"), **options)


def add_fields(group, defaults: dict[str, object], skip: Sequence[str] = ()) -> None:
    """A flag for each declared field of a dataclass, those in ``skip`` apart. ``defaults``: words
    -> an instance with the defaults for that case; the first has no words."""
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
    return text == "yes" if text in ("yes", "no") else str(path(text))


TYPES: dict[str, Callable] = {"path": path, "frames": _frames, "weights": _weights}
RANGE = {one.name for one in fields(Parameter)} - {"choices"}


def add_flags(group, section: str, *words: str, **choices: Sequence[str]) -> None:
    """The flags of a section of ``options.toml``, with ``words`` for the places {0} and {1} of a
    help text, and the values of the flags that name their ``choices``."""
    for flag, about in OPTIONS[section].items():
        about = dict(about)
        if "kind" in about:
            ends = {name: about.pop(name) for name in RANGE & about.keys()}
            ends["kind"] = {"int": int, "float": float}[ends["kind"]]
            add_value(group, flag, Parameter(**ends), about.pop("otherwise", ""), **about)
            continue
        if "type" in about:
            about["type"] = TYPES[about["type"]]
        if isinstance(about.get("choices"), str):
            about["choices"] = choices[about["choices"]]
        if isinstance(about.get("metavar"), list):
            about["metavar"] = tuple(about["metavar"])
        if "{" in about.get("help", ""):
            about["help"] = about["help"].format(*words)
        group.add_argument(*flag.split(), **about)


def add_preparation(sub: argparse.ArgumentParser) -> None:
    from data_prep.prepare import FRAMES
    from statkit.experiments.presets import PRESETS

    sub.usage = "statkit prepare [KIND] [options]"
    data = sub.add_argument_group("data")
    add_flags(data, "data")
    add_fields(data, {"": FRAMES}, skip=["frames_per_clip"])
    how = sub.add_argument_group("preparation")
    add_flags(how, "preparation", str(FRAMES.frames_per_clip), presets=sorted(PRESETS))


def add_training(
    sub: argparse.ArgumentParser,
    *,
    grid: bool = False,
    probe: bool = False,
    forecast: bool = False,
) -> None:
    """Add the options of train; of evaluate if ``probe``; of tables if ``grid``; of forecast, which
    has rows of its own, if ``forecast``."""
    from statkit.experiments.grid import TABLES
    from statkit.experiments.knobs import KNOBS
    from statkit.experiments.presets import PRESETS
    from statkit.experiments.rows import ROWS, TABLE_3
    from statkit.experiments.settings import DEMO, REAL
    from statkit.recipes import RECIPES

    data = sub.add_argument_group("data")
    add_flags(data, "data")
    add_fields(data, {"": DEMO.frames, "real clips": REAL.frames})
    if grid:
        add_flags(data, "splits")
    add_flags(data, "unlabelled")
    how = sub.add_argument_group("networks and runs")
    add_flags(how, "preset", presets=sorted(PRESETS))
    add_fields(how, {"": DEMO, "real clips": REAL}, ["split", "student_epochs"] if grid else [])
    add_flags(how, "networks")
    training = sub.add_argument_group("training")
    add_flags(training, "recipe", recipes=sorted(RECIPES))
    add_fields(training, {"": DEMO.recipe, "real clips": REAL.recipe})
    add_fields(sub.add_argument_group("what the paper leaves open"), {"": DEMO.choices})
    add_flags(how, "runs")
    own = {"rows": list(ROWS), "tables": [*TABLES, "knobs"], "knobs": KNOBS}
    if forecast:
        add_flags(sub, "forecast")
    elif grid:
        add_flags(sub, "tables", ", ".join(ROWS), "all; clips only of demo", **own)
        sub.set_defaults(out=REPOSITORY / "figures" / "tables")
    else:
        add_flags(sub, "rows", ", ".join(ROWS), " ".join(TABLE_3), **own)
    if probe:
        add_flags(sub, "probe")


def add_claims(sub: argparse.ArgumentParser) -> None:
    add_flags(sub, "claims")
    sub.set_defaults(out=REPOSITORY / "CLAIMS.md", results=SHIPPED)


def add_figures(sub: argparse.ArgumentParser, *, sweep: bool = True) -> None:
    from statkit.gallery.parameters import PARAMETERS

    known = (f"{name}: {one.meaning} ({one.range})" for name, one in PARAMETERS.items())
    add_flags(sub, "notebooks", "; ".join(known))
    sub.set_defaults(sweep=None)
    if sweep:
        add_flags(sub, "sweep")
    add_flags(sub, "figures")
    sub.set_defaults(out=REPOSITORY / "figures", notebooks=REPOSITORY / "notebooks")
