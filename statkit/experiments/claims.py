"""The claims that ``claims.csv`` lists, and the named tests that measure them on runs.

Each test is a paired difference between rows of a table; ``ledger.py`` renders its verdict.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from statkit.errors import StatkitError

from .paper import paper_column
from .results import Estimate, Result, differences, gain, less, mean_of, values_of

Runs = Sequence[Result]


@dataclass(frozen=True)
class Claim:
    """One line of ``claims.csv``.

    Attributes:
        words: the claim as a sentence.
        place: where the paper makes it; empty where the claim is not the paper's.
        lesson: number of the lesson that shows it; may be empty.
        test: a name of :data:`TESTS`; empty where the kit cannot test the claim.
        row, baseline, measure: the field ``measure`` of ``row`` minus that of ``baseline``.
        labelled: labelled clips per class of the runs; all clips have labels when None.
        table, column: key of the runs' table, and :func:`.paper.paper_column` of their network.
        unit: of the difference.
        truth: whether the test needs clips with known actor and action.
        reason: why the kit cannot test the claim, and which test could.
    """

    words: str
    place: str
    lesson: str
    test: str
    row: str
    baseline: str
    measure: str
    labelled: int | None
    table: str
    column: str
    unit: str
    truth: bool
    reason: str

    def measured_on(self, runs: Runs) -> Estimate:
        """The claim's difference, from the runs of its table and its kind of network; ValueError
        if they lack the rows, :class:`NotReached` if they are too short."""
        place = self.table, self.column
        own = [run for run in runs if (run.table, paper_column(run.backbone)) == place]
        return TESTS[self.test](self, own)


class NotReached(StatkitError):
    """No run is long enough to compare with; the message says by how much."""


def _difference(claim: Claim, runs: Runs) -> Estimate:
    same = [run for run in runs if run.labelled == claim.labelled]
    known = [run for run in same if getattr(run, claim.measure) is not None]
    return gain(known, claim.row, claim.baseline, claim.measure)


def _from_random_weights(claim: Claim, runs: Runs) -> Estimate:
    """The variants from scratch, where the other rows start from pretrained weights."""
    if not any(run.config.get("pretrained") for run in runs):
        raise NotReached("all networks start from random weights: the first claim says it")
    return gain(runs, f"{claim.row}_scratch", f"{claim.baseline}_scratch")


def _gain_shrinks(claim: Claim, runs: Runs) -> Estimate:
    """The gain at 6x8 minus the gain at 24x32, seed by seed."""
    coarse, fine = (
        differences([run for run in runs if run.resolution == size], claim.row, claim.baseline)
        for size in ("6x8", "24x32")
    )
    return mean_of(less(coarse, fine), "no seed was run at both 6x8 and 24x32")


def _equal_time(claim: Claim, runs: Runs, *, with_teacher: bool = False) -> Estimate:
    """A row against the plain student after as many seconds, interpolated seed by seed between
    the lengths of its training.

    A row's seconds are the least of its runs: each run does the same work, and other load on the
    machine only adds time. ``with_teacher`` adds the teacher's seconds to the row's own.
    """
    plain_rows = (claim.baseline, f"{claim.baseline}_converged", f"{claim.baseline}_longest")
    lengths = [name for name in plain_rows if values_of(runs, name)]
    names = (claim.row, "teacher", *lengths)
    of = {name: values_of(runs, name) for name in names}
    both = set.intersection(*(set(of[name]) for name in (claim.row, *lengths)))
    if len(lengths) < 2 or not both or not of["teacher"]:
        raise StatkitError(f"no seed has {claim.row}, teacher, and {' and '.join(plain_rows[:2])}")
    least = {name: min(values_of(runs, name, "seconds").values()) for name in names}
    spent = least[claim.row] + with_teacher * least["teacher"]
    times = [least[name] for name in lengths]
    if spent > times[-1]:
        raise NotReached(f"it takes {spent:.0f} s, the longest plain student {times[-1]:.0f} s")
    # Below the shortest length, np.interp returns the plain student's value at that length.
    plain = {key: np.interp(spent, times, [of[name][key] for name in lengths]) for key in both}
    found = {key: of[claim.row][key] - float(plain[key]) for key in sorted(both)}
    return mean_of(found, "no seed has all rows")


def _finds_action(claim: Claim, runs: Runs) -> Estimate:
    """Temporal attention inside the true action, minus the share of equal weights."""
    known = [run for run in runs if run.row == claim.row and run.in_action is not None]
    shares = {(r.seed, r.split): 100 * (r.in_action - r.in_action_blind) for r in known}
    return mean_of(shares, "the true action interval is not known")


def _at_teacher_size(claim: Claim, runs: Runs) -> Estimate:
    """Use the variants at the teacher's size if the students' own size is smaller."""
    smaller = any(run.config.get("student_size") for run in runs)
    rows = [claim.row, claim.baseline]
    return gain(runs, *(rows if smaller else [row.removesuffix("_full") for row in rows]))


TESTS = {
    "difference": _difference,
    "at_teacher_size": _at_teacher_size,
    "from_random_weights": _from_random_weights,
    "gain_shrinks": _gain_shrinks,
    "equal_time": _equal_time,
    "equal_time_with_teacher": partial(_equal_time, with_teacher=True),
    "finds_action": _finds_action,
}


def _claim(truth: str, labelled: str, column: str, **words: str) -> Claim:
    number = int(labelled) if labelled else None
    return Claim(**words, truth=truth == "yes", labelled=number, column=column or "resnet34")


LINES = Path(__file__).with_name("claims.csv").read_text("utf-8").splitlines()
CLAIMS = tuple(_claim(**line) for line in csv.DictReader(LINES))
