"""The claims of the paper, each with what our runs say of it; ``CLAIMS.md`` is generated from here.

A claim is a difference between rows. It counts as reproduced where the 95 % interval of the paired
difference over seeds and splits lies above 0, and as not reproduced otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .results import Estimate, Result, estimate, gain, values_of

Runs = Sequence[Result]
WITH = "--recipe paper --splits 1 2 3"
ELSEWHERE = f"statkit tables --table 3 --data UCF101 --backbone resnet34 {WITH}"
HMDB = f"statkit tables --table 4 --data HMDB51 --backbone r2plus1d_34 {WITH}"


@dataclass(frozen=True)
class Claim:
    """What the paper says, where, where it is shown here, and the difference that tests it.

    test: runs of its table -> estimate in the unit named, or ValueError where the runs do not hold
    it; None where it cannot be tested with what is here, and then ``reason`` says why, and how.
    table: which one holds the runs.
    truth: whether it takes clips of which actor and action are known.
    """

    words: str
    place: str
    shown: str
    test: Callable[[Runs], Estimate] | None = None
    table: str = "3"
    unit: str = "points"
    reason: str = ""
    truth: bool = False


def _rows(row: str, baseline: str, what: str = "prec1", labelled: int | None = None) -> Callable:
    """One row against another, with so many labelled clips a class (all when None)."""

    def test(runs: Runs) -> Estimate:
        here = [run for run in runs if run.labelled == labelled]
        return gain([run for run in here if getattr(run, what) is not None], row, baseline, what)

    return test


def _from_scratch(runs: Runs) -> Estimate:
    """Rows of their own where the others start from pretrained weights, else the others."""
    settings = [json.loads(run.parameters).get("config", {}) for run in runs]
    pretrained = any(config.get("pretrained") for config in settings)
    rows = ("stat_scratch", "student_scratch") if pretrained else ("stat", "student")
    return gain(runs, *rows)


def _gain_shrinks(runs: Runs) -> Estimate:
    """The gain at 6x8 less the gain at 24x32, seed by seed."""
    gains = {}
    for size in ("6x8", "24x32"):
        here = [run for run in runs if run.resolution == size]
        after, before = values_of(here, "stat"), values_of(here, "student")
        gains[size] = {key: after[key] - before[key] for key in after.keys() & before.keys()}
    both = sorted(gains["6x8"].keys() & gains["24x32"].keys())
    if not both:
        raise ValueError("no seed was run at both 6x8 and 24x32")
    return estimate([gains["6x8"][key] - gains["24x32"][key] for key in both])


class NotReached(ValueError):
    """No run is long enough to compare with; the message says by how much."""


PLAIN = ("student", "student_converged", "student_longest")  # ever longer


def _at_equal_time(row: str, teacher: bool) -> Callable:
    """A row of Table 3 against the plain student after as many seconds, interpolated seed by seed
    between its lengths.

    A row's seconds are the least of its runs: each does the same work, and what else a machine
    does only adds to it.

    Args:
        teacher: whether the teacher's training counts as the row's own.
    """

    def test(runs: Runs) -> Estimate:
        lengths = [name for name in PLAIN if values_of(runs, name)]
        names = (row, "teacher", *lengths)
        of = {name: values_of(runs, name) for name in names}
        both = set.intersection(*(set(of[name]) for name in (row, *lengths)))
        if len(lengths) < 2 or not both or not of["teacher"]:
            raise ValueError(f"no seed has {row}, teacher, and {' and '.join(PLAIN[:2])}")
        least = {name: min(values_of(runs, name, "seconds").values()) for name in names}
        spent = least[row] + teacher * least["teacher"]
        times = [least[name] for name in lengths]
        if spent > times[-1]:
            raise NotReached(f"it takes {spent:.0f} s, the longest plain student {times[-1]:.0f} s")

        def plain(key) -> float:
            """At that time; a plain student has no less than its own."""
            return float(np.interp(spent, times, [of[name][key] for name in lengths]))

        return estimate([of[row][key] - plain(key) for key in sorted(both)])

    return test


def _finds_the_action(runs: Runs) -> Estimate:
    """The teacher's temporal attention inside the action, less what equal weights have there."""
    teachers = [run for run in runs if run.row == "teacher" and run.in_action is not None]
    shares = {run.seed: 100 * (run.in_action - run.in_action_blind) for run in teachers}
    if not shares:
        raise ValueError("the true action interval is not known")
    return estimate(list(shares.values()))


CLAIMS = (
    Claim("Transfer helps the student", "Table 3", "lesson 4", _rows("stat", "student")),
    Claim(
        "... also against a plain student trained to convergence, both three times as long",
        "not in the paper",
        "lesson 4",
        _rows("stat_converged", "student_converged"),
    ),
    Claim(
        "... with four times the weight on SAT and twice on TAT (1/7-4/7-2/7), as long",
        "not in the paper",
        "lesson 4",
        _rows("stat_1_4_2_converged", "student_converged"),
    ),
    Claim(
        "... at equal wall-clock time, where there is a teacher already",
        "not in the paper",
        "lesson 4",
        _at_equal_time("stat", teacher=False),
    ),
    Claim(
        "... at equal wall-clock time, the teacher's training counted",
        "not in the paper",
        "lesson 4",
        _at_equal_time("stat", teacher=True),
    ),
    Claim(
        "... with frames enlarged to the teacher's size, for both",
        "not in the paper",
        "lesson 7",
        _rows("stat_full", "student_full"),
        table="strides",
    ),
    Claim(
        "... with a student that starts from random weights",
        "not in the paper",
        "lesson 4",
        _from_scratch,
    ),
    Claim(
        "... with 16 labelled clips a class",
        "not in the paper",
        "lesson 8",
        _rows("stat", "student", labelled=16),
        table="labels",
    ),
    Claim(
        "... with 4",
        "not in the paper",
        "lesson 8",
        _rows("stat", "student", labelled=4),
        table="labels",
    ),
    Claim("SAT alone helps", "Table 3", "lesson 4", _rows("sat", "student")),
    Claim("TAT alone helps", "Table 3", "lesson 4", _rows("tat", "student")),
    Claim("SAT helps more than TAT", "Table 3", "lesson 4", _rows("sat", "tat")),
    Claim("Both help more than SAT alone", "Table 3", "lesson 4", _rows("stat", "sat")),
    Claim("Both help more than TAT alone", "Table 3", "lesson 4", _rows("stat", "tat")),
    Claim(
        "Rolling weights beat fixed ones",
        "Table 1",
        "lesson 5",
        _rows("stat_rc", "stat"),
        table="1",
    ),
    Claim(
        "Equal weights beat increasing ones",
        "Table 1",
        "lesson 5",
        _rows("stat", "stat_increasing"),
        table="1",
    ),
    Claim(
        "Copying the last block and layer only is worse",
        "Table 1",
        "lesson 5",
        _rows("stat", "stat_last"),
        table="1",
    ),
    Claim("The unlabelled stage adds to it", "Table 3", "lesson 8", _rows("stat_rc_ut", "stat_rc")),
    Claim(
        "... with 16 labelled clips a class",
        "Section 3.3.1",
        "lesson 8",
        _rows("stat_ut", "stat", labelled=16),
        table="labels",
    ),
    Claim(
        "... with 4",
        "Section 3.3.1",
        "lesson 8",
        _rows("stat_ut", "stat", labelled=4),
        table="labels",
    ),
    Claim(
        "Everything together beats the plain student",
        "Table 3",
        "lesson 4",
        _rows("stat_rc_ut", "student"),
    ),
    Claim(
        "The gain shrinks as resolution grows (6x8 less 24x32)",
        "Table 2",
        "lesson 7",
        _gain_shrinks,
        table="2",
    ),
    Claim(
        "Enlarging the 12x16 frame helps by itself (to the teacher's size, over as it is)",
        "not in the paper",
        "lesson 7",
        _rows("student_full", "student_native"),
        table="strides",
    ),
    Claim(
        "... and so does a smaller stride instead (small stem, over as it is)",
        "not in the paper",
        "lesson 7",
        _rows("student_stem", "student_native"),
        table="strides",
    ),
    Claim(
        "Classes lie further apart after transfer (nearest neighbours in the embedding)",
        "Figure 6",
        "lesson 6",
        _rows("stat", "student", "neighbours"),
    ),
    Claim(
        "The student's attention moves to the actor (last block, 1 is blind)",
        "Figure 5",
        "lesson 4",
        _rows("stat", "student", "on_actor"),
        unit="times the mean",
        truth=True,
    ),
    Claim(
        "The temporal attention finds the action (teacher, over equal weights)",
        "Section 3.1.2",
        "lesson 3",
        _finds_the_action,
        truth=True,
    ),
    Claim(
        "42.79 to 46.66 % on UCF101, 48.03 % with rc and ut (ResNet-34)",
        "Table 3",
        "",
        reason=f"needs all of UCF101 and days of a GPU: `{ELSEWHERE}`",
    ),
    Claim(
        "48.95 to 54.92 % on UCF101 (R(2+1)D-18)",
        "Table 3",
        "",
        reason="the same command with `--backbone r2plus1d_18`",
    ),
    Claim(
        "58.12 % on HMDB51 with two streams (R(2+1)D-34)",
        "Table 4",
        "",
        reason=f"needs HMDB51 and its pretraining: `{HMDB}`",
    ),
)
