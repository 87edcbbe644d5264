"""A forecast of the gain of SAT+TAT on a data set, before stage two.

It uses what is known after stage one (:data:`statkit.experiments.conditions.KNOWN`). The model is a
ridge regression, fitted at run time on the conditions of the knob experiment (generated clips
alone); the real sets only test it. Outside the range of these conditions it gives a number with its
interval, and the answer "cannot say".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from statkit.errors import StatkitError
from statkit.shipped import SHIPPED

from .conditions import Summary, summaries, summary
from .knobs import shipped_runs
from .results import Estimate, Result, read_results
from .settings import REAL
from .tables import signed

# The predictors: few, because the conditions are few. The product is hypothesis H7.
PREDICTORS = ("gap", "specific", "spread", "gap x specific")
PENALTIES = (0.1, 1.0, 10.0, 100.0)
LEAST = 8  # conditions; with fewer there is no forecast
WORTH = 2.0  # points: a smaller gain is not worth stage two
SURE = 0.8  # the least probability with which an answer is given
BEYOND = 0.1  # of the fitted range, within which a value beyond its ends is not outside
COARSE = 10.0  # points: a gap that is known less exactly is named

TRAIN_IT, DO_NOT_BOTHER, CANNOT_SAY = "train it", "do not bother", "cannot say"
NEXT = {
    TRAIN_IT: "statkit train --rows stat, with the same options, trains SAT+TAT",
    DO_NOT_BOTHER: "keep the plain student",
    CANNOT_SAY: "only training tells: statkit tables --table 3 --rows student stat --seeds 0 1 2, "
    "with the same options; runs that exist are not trained again",
}


def predictors(features: dict[str, float]) -> np.ndarray:
    """float64 ``[4]``, in the order of :data:`PREDICTORS`."""
    values = [features[name] for name in PREDICTORS[:3]]
    return np.array([*values, features["gap"] * features["specific"]])


def gap_error(features: dict[str, float], clips: int) -> float:
    """Standard error of the gap, in points, from the number of test clips alone: that of two
    binomial shares, with two right and two wrong answers added to each (Agresti and Coull), as if
    the two networks erred independently."""
    shares = ((features[n] / 100 * clips + 2) / (clips + 4) for n in ("teacher", "student"))
    return 100 * sum(share * (1 - share) / (clips + 4) for share in shares) ** 0.5


@dataclass(frozen=True)
class Forecast:
    """The expected gain with its 95 % prediction interval, in points; ``words`` is one of the three
    answers, ``reasons`` are sentences; ``chance`` is the probability, from 0 to 1, that the gain is
    larger than :data:`WORTH`. ``gain`` and ``chance`` are None if there is no forecast."""

    gain: Estimate | None
    words: str
    reasons: tuple[str, ...]
    chance: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the interval."""
        if self.gain is None:
            return None
        return self.gain.mean - self.gain.half_width, self.gain.mean + self.gain.half_width


def words_for(chance: float) -> str:
    """The answer for the probability that the gain is larger than :data:`WORTH` points."""
    if chance >= SURE:
        return TRAIN_IT
    return DO_NOT_BOTHER if chance <= 1 - SURE else CANNOT_SAY


class ForecastModel:
    """Ridge regression of the gain on the standardised predictors, with a free intercept.

    With Z the predictors, less their means and divided by their spreads, the coefficients are
    ``(Z'Z + penalty I)^-1 Z'(gain - mean gain)``, with the penalty that misses left-out conditions
    least (scikit-learn's RidgeCV). Each condition is left out of all of this once. Large gains are
    missed by more than small ones, so an error is measured in units of ``|expected gain| + c``, c
    the mean of the conditions' ``|gain|``; e is the root mean square of these errors. The leverage
    of a point z is ``h = 1/n + z'(Z'Z + penalty I)^-1 z``. The prediction interval is
    ``+- t(n - 2) e (|expected gain| + c) sqrt(1 + h)``: it widens for sets that are unlike all
    conditions. With few test clips it widens again, by the binomial error of the gap
    (:func:`gap_error`) times the model's slope along the gap. The answer follows from
    the same t distribution (:func:`words_for`).

    Attributes:
        conditions: the fitted ones: those with all predictors and a measured gain.
        errors: float64 ``[n]``, the absolute error of each condition when it is left out.
        baseline: the same errors for the forecast "the mean gain of the other conditions".
    """

    def __init__(self, conditions: Sequence[Summary]):
        self.conditions = [
            one for one in conditions if one.gain and np.isfinite(predictors(one.features)).all()
        ]
        self.errors, self.baseline = np.zeros(0), np.zeros(0)
        if not self.usable:
            return
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import LeaveOneOut, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        x = np.stack([predictors(one.features) for one in self.conditions])
        y = np.array([gain.mean for gain in self._gains])
        n = len(y)
        self._low, self._high = x.min(0), x.max(0)
        self._mean, self._spread = x.mean(0), x.std(0) + 1e-9
        z = (x - self._mean) / self._spread
        self._ridge = RidgeCV(PENALTIES).fit(z, y)
        self.penalty = float(self._ridge.alpha_)
        whole = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
        expected = cross_val_predict(whole, x, y, cv=LeaveOneOut())
        self.errors = np.abs(expected - y)
        self._size = np.abs(y).mean()  # c above
        self._error = np.sqrt(((self.errors / (np.abs(expected) + self._size)) ** 2).mean())
        self._inverse = np.linalg.inv(z.T @ z + self.penalty * np.eye(z.shape[1]))
        self.baseline = (y - y.mean()) * n / (n - 1)

    @property
    def _gains(self) -> list[Estimate]:
        return [one.gain for one in self.conditions if one.gain]

    @property
    def usable(self) -> bool:
        """Whether there are enough conditions for a forecast."""
        return len(self.conditions) >= LEAST

    def __call__(self, features: dict[str, float], *, clips: int | None = None) -> Forecast:
        """The forecast for what is known of a set (:attr:`Summary.features`).

        Args:
            clips: test clips that teacher and student were measured on; None adds no error for
                their number.
        """
        if not self.usable:
            return Forecast(None, CANNOT_SAY, ("too few conditions are measured for a forecast",))
        x = predictors(features)
        if not np.isfinite(x).all():
            unknown = [n for n, v in zip(PREDICTORS[:3], x, strict=False) if not np.isfinite(v)]
            return Forecast(None, CANNOT_SAY, (f"not known of this set: {', '.join(unknown)}",))
        from scipy.special import stdtr, stdtrit

        z, n = (x - self._mean) / self._spread, len(self.conditions)
        per_point = (predictors({**features, "gap": features["gap"] + 1}) - x) / self._spread
        noise = gap_error(features, clips) if clips else 0.0
        leverage = 1 / n + z @ self._inverse @ z
        slope = self._ridge.coef_ @ per_point
        mean = float(self._ridge.predict(z[None])[0])
        own = self._error * (abs(mean) + self._size)
        error = np.sqrt(own**2 * (1 + leverage) + (slope * noise) ** 2)
        gain = Estimate(mean, float(stdtrit(n - 2, 0.975) * error), n)
        chance = float(stdtr(n - 2, (mean - WORTH) / error))
        outside = [
            f"{name} = {value:.3g} lies outside the fitted range ({low:.3g} to {high:.3g})"
            for name, value, low, high in zip(PREDICTORS, x, self._low, self._high, strict=True)
            if not -BEYOND <= (value - low) / (high - low + 1e-9) <= 1 + BEYOND
        ]
        few = f"the gap is known to ± {1.96 * noise:.0f} points from {clips} test clips"
        reasons = (*([few] if 1.96 * noise > COARSE else []), *outside)
        return Forecast(gain, CANNOT_SAY if outside else words_for(chance), reasons, chance)

    def left_out(self) -> list[Forecast]:
        """The forecast for each condition, by a model that is fitted to the others."""
        every = self.conditions
        others = (ForecastModel([*every[:i], *every[i + 1 :]]) for i in range(len(every)))
        return [model(one.features) for model, one in zip(others, every, strict=True)]

    @property
    def guess(self) -> float:
        """The forecast that knows nothing of a set: the mean gain of the conditions, in points."""
        return float(np.mean([gain.mean for gain in self._gains]))

    def text(self) -> str:
        """How good the model is, and which answers it can give, in sentences."""
        if not self.usable:
            return (
                f"Measured conditions of generated clips: {len(self.conditions)}; the model needs "
                f"{LEAST}. `statkit tables --table knobs` measures more."
            )
        left_out, simple = (np.abs(e).mean() for e in (self.errors, self.baseline))
        answers = _answers(self.left_out(), self._gains)
        worse = " The model is no better than that guess." if left_out >= simple else ""
        return (
            f"Fitted on {len(self.conditions)} conditions of generated clips. A condition that is "
            f'left out is missed by {left_out:.1f} points on average; the guess "the mean gain of '
            f'the others" misses it by {simple:.1f}.{worse} The answer is "{TRAIN_IT}" if a gain '
            f"above {WORTH:g} points has a chance of {100 * SURE:.0f} % or more, and "
            f'"{DO_NOT_BOTHER}" if it has {100 - 100 * SURE:.0f} % or less. Each condition, '
            f"forecast from the others: {answers}."
        )


def _answers(found: Sequence[Forecast], gains: Sequence[Estimate]) -> str:
    """How often each answer was given, and how often it was right."""
    parts = []
    for words in (TRAIN_IT, DO_NOT_BOTHER, CANNOT_SAY):
        above = [g.mean > WORTH for f, g in zip(found, gains, strict=True) if f.words == words]
        right = {TRAIN_IT: sum(above), DO_NOT_BOTHER: len(above) - sum(above)}.get(words)
        of_them = f" ({right} right)" if above and right is not None else ""
        parts.append(f'"{words}" for {len(above)}{of_them}')
    return ", ".join(parts)


def shipped_model() -> ForecastModel:
    """The model of the committed runs of the knob experiment."""
    return ForecastModel(summaries(shipped_runs()))


# Names of the real sets whose runs ship, by the name of their folder.
REAL_SETS = {"clips_160x120": "ucf101_8"}


def real_runs(folder: Path = SHIPPED) -> dict[str, list[Result]]:
    """The committed runs of each real set with all labels (Table 3). Runs of another recipe or
    another choice than the defaults of real clips are a set of their own, such as "NAME, tam
    shared": they have their own teacher and their own plain student. The number of epochs may
    differ between sets, and makes no set of its own."""
    groups: dict[str, list[Result]] = {}
    for file in sorted(folder.glob("*.csv")):
        for run in read_results(file):
            if run.table == "3" and run.backbone == "resnet18" and run.labelled is None:
                name = json.loads(run.parameters).get("dataset", "")
                name = ", ".join([REAL_SETS.get(name, name), *_changed(run.config)])
                groups.setdefault(name, []).append(run)
    for name, runs in groups.items():
        [(place, count), *_] = Counter((r.row, r.seed, r.split) for r in runs).most_common(1)
        if count > 1:
            raise StatkitError(f"{name}: {count} runs of {place[0]} with seed {place[1]}")
    return groups


def _changed(config: dict) -> list[str]:
    """What differs from the defaults of real clips, as words: "tam shared"."""
    default, found = asdict(REAL), []
    for part in ("choices", "recipe"):
        for name, value in config.get(part, {}).items():
            if name != "epochs" and value != default[part].get(name, value):
                found.append(f"{name} {value}")
    return found


def real_sets() -> list[Summary]:
    """The summaries of :func:`real_runs`."""
    return [summary(name, runs) for name, runs in real_runs().items()]


def forecasts(model: ForecastModel, sets: Sequence[Summary]) -> tuple[list[list[str]], str]:
    """Head and rows of a table of the forecasts beside the measured gains; and, in sentences, how
    often the forecasts were right, and how far two forecasts that know nothing of a set miss."""
    head = ["set", "forecast", f"chance of more than {WORTH:g} points", "answer", "measured gain"]
    rows, compared = [head], []
    for one in sets:
        found = model(one.features)
        reason = f" ({'; '.join(found.reasons)})" if found.reasons else ""
        gain = signed(one.gain) if one.gain else "not measured"
        cells = [signed(found.gain), f"{100 * found.chance:.0f} %"] if found.gain else ["", ""]
        rows.append([one.name, *cells, found.words + reason, gain])
        if one.gain and found.gain:
            compared.append((found, one.gain))
    if not compared:
        return rows, "No forecast can be compared with a measured gain yet."
    answers, measured = zip(*compared, strict=True)
    gains = np.array([gain.mean for gain in measured])
    errors = np.abs([found.gain.mean for found in answers] - gains)
    inside = sum(errors <= [found.gain.half_width for found in answers])
    return rows, (
        f"The measured mean gain lies in the interval of the forecast on {inside} of {len(errors)} "
        f"sets. The forecast misses it by {errors.mean():.1f} points on average; the "
        f'forecast "no gain" misses it by {np.abs(gains).mean():.1f}, and "the mean gain of the '
        f'conditions" ({model.guess:+.1f}) by {np.abs(gains - model.guess).mean():.1f}. '
        f"The answers: {_answers(answers, measured)}."
    )
