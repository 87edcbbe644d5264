"""The hypotheses of ``figures/hypotheses.md`` on the knob experiment, tested on its runs.

``hypotheses.csv`` lists them. Each test gives a difference that is above 0 if the hypothesis holds.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from statkit.errors import StatkitError

from .conditions import summaries
from .knobs import VALUES, knobs_of, runs_of
from .results import (
    Estimate,
    Result,
    differences,
    estimate,
    gain,
    less,
    mean_of,
    p_value,
    values_of,
)

Runs = Sequence[Result]
LEAST = 5  # conditions, for a test over conditions
# The scale on which a gain is expected to be a straight line.
SCALES = {"clutter": lambda value: math.log(value + 0.5), "clips": math.log}


@dataclass(frozen=True)
class Hypothesis:
    """One line of ``hypotheses.csv``: a test of a row's gain, and the unit of its difference."""

    name: str
    words: str
    test: str
    row: str
    knob: str
    sign: int
    unit: str

    def measured_on(self, runs: Runs) -> Estimate:
        """The difference that is above 0 if the hypothesis holds.

        Raises:
            ValueError: too few runs.
        """
        return TESTS[self.test](self, runs)


def slope(points: Mapping[object, Sequence[tuple[float, float]]]) -> Estimate:
    """The slope of y over x with an intercept per group (seed), by least squares.

    ``b = sum (x - x_g)(y - y_g) / sum (x - x_g)^2`` with the means x_g, y_g of each group. Of n
    points in g groups, n - g - 1 degrees of freedom remain for Student's t; ``runs`` of the result
    is one more, so that :func:`statkit.experiments.results.p_value` fits.
    """
    from scipy.special import stdtrit

    centred = [np.array(group, float) - np.mean(group, axis=0) for group in points.values()]
    x, y = np.concatenate(centred).T if centred else np.zeros((2, 0))
    freedom = len(x) - len(centred) - 1
    if freedom < 1 or not x.any():
        raise StatkitError("a slope needs runs of at least two values of the knob")
    b = float(x @ y / (x @ x))
    error = float(np.sqrt(((y - b * x) ** 2).sum() / freedom / (x @ x)))
    return Estimate(b, float(stdtrit(freedom, 0.975)) * error, freedom + 1)


def weaker(found: Sequence[Estimate]) -> Estimate:
    """Of differences that must all be above 0, the one with the greatest one-sided p-value.

    All are above 0 at a level if this one is (intersection-union test), also at the stricter
    levels of Holm's adjustment. The lower ends of the intervals say this at 95 % alone.
    """

    def one_sided(each: Estimate) -> float:
        if each.runs < 2:
            return 1.0
        return p_value(each) / 2 if each.mean > 0 else 1 - p_value(each) / 2

    return max(found, key=one_sided)


def _slope(one: Hypothesis, runs: Runs) -> Estimate:
    """The slope of a row's gain over a knob, times the expected sign."""
    scale, points = SCALES.get(one.knob, float), {}
    for value, here in runs_of(runs, one.knob).items():
        for key, found in differences(here, one.row).items():
            points.setdefault(key, []).append((scale(value), one.sign * found))
    return slope(points)


def _less_specific(one: Hypothesis, runs: Runs) -> Estimate:
    """The distance of maps and of weights from their means at the knob's least value, minus that
    at its greatest, seed by seed; of the two, the weaker one."""
    here, found = runs_of(runs, one.knob), []
    ends = VALUES[one.knob][0], VALUES[one.knob][-1]
    for column in ("specific", "spread"):
        low, high = (values_of(here.get(end, []), one.row, column) for end in ends)
        found.append(mean_of(less(low, high), "no seed has a teacher at both ends"))
    return weaker(found)


def _pretrained_gain(one: Hypothesis, runs: Runs) -> Estimate:
    known = [(run, knobs_of(run)) for run in runs if run.backbone != "demo"]
    same = [run for run, has in known if has["teacher"] and has["student"] and has["scene"] == 0]
    return gain(same, one.row, "student")


def left_out_errors(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Absolute error ``[N]`` of a straight line for each point, fitted to all the others."""
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    return np.abs(cross_val_predict(LinearRegression(), x[:, None], y, cv=LeaveOneOut()) - y)


def _product(one: Hypothesis, runs: Runs) -> Estimate:
    """Over the conditions: the error of the better single predictor minus that of the product."""
    found = [s for s in summaries(runs) if np.isfinite(s.features["specific"])]
    if len(found) < LEAST:
        raise StatkitError(f"at least {LEAST} conditions are needed, {len(found)} are there")
    gap, specific = (np.array([s.features[name] for s in found]) for name in ("gap", "specific"))
    gains = np.array([s.gain.mean for s in found if s.gain])
    alone = min((left_out_errors(x, gains) for x in (gap, specific)), key=lambda e: e.mean())
    return estimate(alone - left_out_errors(gap * specific, gains))


def _inner_best(one: Hypothesis, runs: Runs) -> Estimate:
    """The gain at the best inner value of the knob minus that at an end of its range, seed by seed;
    of the two ends, the weaker difference."""
    here = {value: differences(found, one.row) for value, found in runs_of(runs, one.knob).items()}
    first, *inner, last = VALUES[one.knob]
    inner = [value for value in inner if here.get(value)]
    lacking = [f"{end:g}" for end in (first, last) if not here.get(end)]
    if lacking or not inner:
        missing = f"not at {' and '.join(lacking)}" if lacking else "at no value between them"
        raise StatkitError(f"both ends of {one.knob} are needed; measured {missing}")
    best = max(inner, key=lambda value: np.mean(list(here[value].values())))
    ends = [less(here[best], here[end]) for end in (first, last)]
    return weaker([mean_of(end, "no seed has all values") for end in ends])


TESTS = {
    "slope": _slope,
    "less_specific": _less_specific,
    "pretrained_gain": _pretrained_gain,
    "product": _product,
    "inner_best": _inner_best,
}


LINES = Path(__file__).with_name("hypotheses.csv").read_text("utf-8").splitlines()
HYPOTHESES = tuple(
    Hypothesis(**line | {"sign": int(line["sign"])}) for line in csv.DictReader(LINES)
)
