"""One line per condition or data set: what is known before stage two, and the gain."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .knobs import DEFAULTS, knobs_of
from .results import Estimate, Result, gain

# What is known before stage two: name -> (row, column).
KNOWN = {
    "teacher": ("teacher", "prec1"),
    "student": ("student", "prec1"),
    "from_blind": ("teacher", "from_blind"),
    "specific": ("teacher", "specific"),
    "from_equal": ("teacher", "from_equal"),
    "spread": ("teacher", "spread"),
    "on_actor": ("teacher", "on_actor"),
    "in_action": ("teacher", "in_action"),
    "pixels": ("pixel_probe", "prec1"),
}


@dataclass(frozen=True)
class Summary:
    """A condition or a set: means over its runs.

    Attributes:
        backbone: the network of its runs; empty if not known.
        features: the names of :data:`KNOWN`, and ``gap``, teacher minus student; NaN where unknown.
        gain: of SAT+TAT over the plain student, paired; None where it was not measured.
    """

    name: str
    features: dict[str, float]
    gain: Estimate | None
    backbone: str = ""


def summary(name: str, runs: Iterable[Result], row: str = "stat") -> Summary:
    """The summary of the runs of one condition or set."""
    runs = list(runs)
    features = {}
    for key, (known, column) in KNOWN.items():
        values = [getattr(run, column) for run in runs if run.row == known]
        values = [value for value in values if value is not None]
        features[key] = float(np.mean(values)) if values else float("nan")
    features["gap"] = features["teacher"] - features["student"]
    try:
        found = gain(runs, row, "student")
    except ValueError:
        found = None
    return Summary(name, features, found, runs[0].backbone if runs else "")


def by_condition(runs: Iterable[Result]) -> dict[str, list[Result]]:
    """The runs of each condition of the knob experiment, by its name, such as "scene=0.5"."""
    groups: dict[str, list[Result]] = {}
    for run in runs:
        groups.setdefault(_name(run), []).append(run)
    return groups


def summaries(runs: Iterable[Result]) -> list[Summary]:
    """The conditions of the knob experiment that have a teacher, a plain student and SAT+TAT."""
    found = (summary(name, here) for name, here in by_condition(runs).items())
    return [one for one in found if one.gain and np.isfinite(one.features["gap"])]


def _name(run: Result) -> str:
    values = knobs_of(run)
    changed = [f"{k}={v:g}" for k, v in values.items() if k in DEFAULTS and v != DEFAULTS[k]]
    if json.loads(run.parameters)["config"].get("student_pretrained") is not None:
        weights = {True: "ImageNet", False: "random"}
        changed += [f"{side} {weights[bool(values[side])]}" for side in ("teacher", "student")]
    return ", ".join(changed) or "default"
