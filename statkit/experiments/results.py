"""Results files and their statistics: means, 95 % intervals over seeds, paired differences."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from statkit.errors import StatkitError
from statkit.runtime.cache import write_atomically
from statkit.shipped import SHIPPED

from .paper import paper_column


@dataclass(frozen=True)
class Result:
    """The result of one run: one line of a results file.

    prec1 and prec5 in per cent, seconds of training; on_actor is the last block's score
    (:func:`statkit.evaluation.attention_on_actor`), in_action a share, both empty if the truth
    is not known; neighbours is :attr:`statkit.analysis.embedding.Separation.nearest` of the test
    clips; fingerprint is that of the stored frames; labelled, clips per class (all when empty);
    parameters, the whole configuration and the row as JSON.

    Of the attention on the test clips, empty in older files: from_blind and specific, the mean over
    the four blocks (:func:`statkit.evaluation.map_distances`); from_equal and spread
    (:func:`statkit.evaluation.weight_distances`); of a student, map_agreement, the mean over the
    blocks, and weight_agreement (:class:`statkit.analysis.agreement.Agreement`), if its teacher is
    trained.
    """

    row: str
    backbone: str
    resolution: str
    seed: int
    split: int
    prec1: float
    prec5: float
    epochs: int
    seconds: float
    device: str
    fingerprint: str
    on_actor: float | None = None
    in_action: float | None = None
    in_action_blind: float | None = None
    neighbours: float | None = None
    table: str = ""
    labelled: int | None = None
    parameters: str = "{}"
    from_blind: float | None = None
    specific: float | None = None
    from_equal: float | None = None
    spread: float | None = None
    map_agreement: float | None = None
    weight_agreement: float | None = None

    @property
    def config(self) -> dict:
        """The setting, from the parameters; empty where they do not have it."""
        return json.loads(self.parameters).get("config", {})

    @property
    def row_fields(self) -> dict:
        """The fields of the row, from the parameters; empty where they do not have it."""
        return json.loads(self.parameters).get("row", {})


class Estimate(NamedTuple):
    """A mean with its 95 % interval (Student's t over the runs; infinite for a single run);
    ``runs`` is the number of :func:`units`."""

    mean: float
    half_width: float
    runs: int

    def __str__(self) -> str:
        if self.runs < 2:
            return f"{self.mean:.1f} (one run)"
        return f"{self.mean:.1f} ± {self.half_width:.1f}"


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of independent runs."""
    from scipy.special import stdtrit  # importing scipy.stats takes half a second more

    values = np.asarray(values, float)
    if len(values) < 2:
        return Estimate(float(values.mean()), float("inf"), len(values))
    spread = values.std(ddof=1) / np.sqrt(len(values))
    half_width = stdtrit(len(values) - 1, 0.975) * spread
    return Estimate(float(values.mean()), float(half_width), len(values))


def p_value(difference: Estimate) -> float:
    """Two-sided p-value of Student's t-test that the mean difference is 0, of at least two runs. It
    is below 0.05 exactly where the 95 % interval does not hold 0."""
    from scipy.special import stdtr, stdtrit

    if difference.half_width == 0:
        return float(difference.mean == 0)
    freedom = difference.runs - 1
    t = difference.mean / difference.half_width * stdtrit(freedom, 0.975)
    return float(2 * stdtr(freedom, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted by Holm's step-down method, in the order given.

    Of all differences with an adjusted value up to 0.05, a single one is false with at most 5 %
    probability, whatever the dependence between the tests.
    """
    order, values = np.argsort(p_values), np.array(p_values, float)
    factors = len(values) - np.arange(len(values))
    values[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return values.tolist()


Values = dict[tuple[int, int], float]  # by (seed, split)


def values_of(results: Iterable[Result], row: str, what: str = "prec1") -> Values:
    """One column of one row, by (seed, split)."""
    return {(r.seed, r.split): getattr(r, what) for r in results if r.row == row}


def less(ours: Values, theirs: Values) -> Values:
    """Paired differences ``ours - theirs``, of the keys that both have."""
    return {key: ours[key] - theirs[key] for key in sorted(ours.keys() & theirs.keys())}


def units(values: Values) -> list[float]:
    """What counts as an independent run for an interval: each value; where there are several
    splits with several seeds, the mean over the seeds of each split.

    Two seeds of one split share their test clips, so their values are more alike than those of two
    splits. As nine independent runs, three splits with three seeds would make too narrow an
    interval; it has the degrees of freedom of the splits.
    """
    splits: dict[int, list[float]] = {}
    for (_, split), value in values.items():
        splits.setdefault(split, []).append(value)
    if len(splits) == 1 or all(len(here) == 1 for here in splits.values()):
        return list(values.values())
    return [float(np.mean(here)) for here in splits.values()]


def mean_of(values: Values, missing: str) -> Estimate:
    """Mean and 95 % interval over the :func:`units`; StatkitError with the text ``missing`` if
    there are no values."""
    if not values:
        raise StatkitError(missing)
    return estimate(units(values))


def differences(
    results: Sequence[Result], row: str, baseline: str = "student", what: str = "prec1"
) -> Values:
    """Paired differences ``row - baseline`` by (seed, split), of the runs that have both."""
    return less(values_of(results, row, what), values_of(results, baseline, what))


def gain(results: Sequence[Result], row: str, baseline: str, what: str = "prec1") -> Estimate:
    """Mean paired difference ``row - baseline`` over the seeds and splits that have both;
    StatkitError if none has."""
    missing = f"no seed has both {row!r} and {baseline!r}"
    return mean_of(differences(results, row, baseline, what), missing)


def write_results(path: Path, results: Iterable[Result]) -> Path:
    """Write a CSV file with one line per run."""

    def write(target: Path) -> None:
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [f.name for f in fields(Result)])
            writer.writeheader()
            writer.writerows(asdict(result) for result in results)

    return write_atomically(Path(path), write)


def read_results(path: Path) -> list[Result]:
    """The runs of a CSV file that :func:`write_results` wrote."""
    kinds = {f.name: f.type.partition(" | ") for f in fields(Result)}
    read = {"int": int, "float": float, "str": str}

    def parse(name: str, text: str):
        kind, _, optional = kinds[name]
        return None if optional and not text else read[kind](text)

    with Path(path).open(newline="", encoding="utf-8") as file:
        try:
            lines = [{k: parse(k, v) for k, v in line.items()} for line in csv.DictReader(file)]
            return [Result(**line) for line in lines]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise StatkitError(f"{path} is not a whole file of results ({error})") from error


def comparable(runs: Iterable[Result]) -> list[Result]:
    """Runs of one data set whose students saw frames of one size: of each table and kind of
    network, the runs at the teacher's size as soon as they have each row, resolution and number of
    labels of the runs at another size, at least three times or as often as those; until then, the
    runs at another size."""
    groups: dict[tuple[str, str], tuple[list[Result], list[Result]]] = {}
    for run in runs:
        pair = groups.setdefault((run.table, paper_column(run.backbone)), ([], []))
        pair[run.config.get("student_size") is not None].append(run)
    found = []
    for full, other in groups.values():
        # A row that always sees the teacher's size has no counterpart: "stat_full" is "stat" there.
        varied = [run for run in other if run.row_fields.get("size") != "hr"]
        ours, theirs = (
            Counter((run.row, run.resolution, run.labelled) for run in some)
            for some in (full, varied)
        )
        enough = all(ours[place] >= min(3, theirs[place]) for place in theirs)
        found += full if enough else other
    return found


def published_runs(dataset: str, table: str, column: str = "resnet34") -> list[Result]:
    """The committed runs of a table on the data set of this name; may be empty. ``column``: see
    :func:`statkit.experiments.paper.paper_column`."""
    return [
        run
        for file in sorted(SHIPPED.glob("*.csv"))
        for run in comparable(read_results(file))
        if (run.table, paper_column(run.backbone)) == (table, column)
        and json.loads(run.parameters).get("dataset") == dataset
    ]
